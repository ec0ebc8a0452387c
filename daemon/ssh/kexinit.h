/* Why two SSH implementations cannot agree: what each side offered in the first packet of its handshake, which is not
 * encrypted (RFC 4253, 7.1). libssh2 only says that it could not; the bytes come from the transport. PURE. */
#ifndef NEL_SSH_KEXINIT_H
#define NEL_SSH_KEXINIT_H

#include <stdbool.h>
#include <stddef.h>

#define KEXINIT_BYTES_MAX 16384 /* of a side's first bytes; OpenSSH sends less than 2000 */

/* Given the first bytes that each side sent, says for each kind of algorithm without a common one what either offers
 * and what would help, as one line. False when they do not say so: cut off, no SSH, or they could agree. What the
 * server sent is untrusted. */
bool kexinit_explain(const char *ours, size_t ours_size, const char *theirs, size_t theirs_size, char *buf,
		     size_t size);

#endif
