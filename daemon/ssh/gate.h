/* How many SSH handshakes may go to one host at once, over all pools that share the gate: OpenSSH drops connections at
 * random beyond MaxStartups (10:30:100). Thread-safe. */
#ifndef NEL_SSH_GATE_H
#define NEL_SSH_GATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SSH_GATE_DEFAULT 3

struct ssh_gate;

struct ssh_gate *ssh_gate_new(int max);    /* 0: SSH_GATE_DEFAULT */
void ssh_gate_free(struct ssh_gate *gate); /* nobody may be inside; accepts NULL */

/* Waits for a place, at most timeout_ms; BUSY when there is none, with sys ECANCELED when *stop (or NULL) became true.
 */
int ssh_gate_enter(struct ssh_gate *gate, int64_t timeout_ms, const volatile bool *stop, struct nel_err *err);
void ssh_gate_leave(struct ssh_gate *gate);

/* The gates of all hosts: pools of one address and port, whoever's they are, get the same one. Thread-safe. */
struct ssh_gates;

struct ssh_gates *ssh_gates_new(int max);     /* of each gate; 0: SSH_GATE_DEFAULT */
void ssh_gates_free(struct ssh_gates *gates); /* and every gate, after the pools that use them; accepts NULL */

/* The gate of a host, made when it is first asked for; borrowed, valid until ssh_gates_free(). */
struct ssh_gate *ssh_gates_get(struct ssh_gates *gates, const char *address, int port);

#endif
