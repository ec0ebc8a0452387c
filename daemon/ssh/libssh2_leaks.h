/* What libssh2 itself loses, which would hide what we lose: LOSING(rc, call) leaves out of LeakSanitizer's account what
 * is allocated in the call, by the functions of ours that libssh2 calls back, too. 1.10: the private number of each
 * ECDSA key that it reads. 1.11: the state of a key exchange that has failed.
 */
#ifndef NEL_SSH_LIBSSH2_LEAKS_H
#define NEL_SSH_LIBSSH2_LEAKS_H

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable() (void)0
#endif

#define LOSING(rc, call) (__lsan_disable(), (rc) = (call), __lsan_enable(), (rc))

#endif
