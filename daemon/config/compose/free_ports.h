/* Ports that are chosen on the node. Where others may share the nodes, a port that the config does not set itself may
 * be taken, so that a reference stands in its place, "nel-port(deployment:8000)" with the group's own number, and so in
 * every text that interpolates it. The job's script chooses a free port for each reference, and puts it into the
 * servers' and the evaluation's commands, variables and config_ef.yaml. */
#ifndef NEL_CONFIG_COMPOSE_FREE_PORTS_H
#define NEL_CONFIG_COMPOSE_FREE_PORTS_H

#include "base/cleanup.h"

#include <stdbool.h>

/* Are the nodes the job's alone? execution: with its sbatch_extra_flags, where only the bare flag says so. */
bool free_ports_exclusive(const json_t *execution);

/* The key of a server's ports of Ray, by their names; only the command of the group reads them. */
#define FREE_PORTS_RAY "ray_ports"

/* Puts references in place of the ports of a group's config, which is placed as in the composed one. */
void free_ports_mark(json_t *config);

/* Takes back, in composed, the references that are of no use: all on exclusive nodes, and the port of a server whose
 * command does not read it. resolved: the same config interpolated, or NULL when only the former is to be done.
 * true: something was changed. */
bool free_ports_settle(json_t *composed, const json_t *resolved);

/* The reference to the port of an auxiliary's proxy, which no config names. free(). */
char *free_ports_reference(const char *auxiliary, int number);

/* The text with the groups' numbers in place of all references; free(). */
char *free_ports_numbers(const char *text);

/* Is the text a reference? *ret_number: the group's number. */
bool free_ports_parse(const char *text, int *ret_number);

#endif
