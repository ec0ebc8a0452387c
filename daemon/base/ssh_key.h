/* New SSH keys: ed25519, as OpenSSH writes them. Uses libsodium. */
#ifndef NEL_BASE_SSH_KEY_H
#define NEL_BASE_SSH_KEY_H

#include <stddef.h>

/* Makes a key pair. *ret_public: "ssh-ed25519 AAAA...", without a comment, as in authorized_keys (sshd(8)); free().
 * *ret_private: the private key without passphrase as ssh-keygen would write it (OpenSSH's PROTOCOL.key), with its
 * size; give it to secret_free(). The comment goes into the private key. After secret_init(). */
void ssh_key_new(const char *comment, char **ret_public, char **ret_private, size_t *ret_private_size);

#endif
