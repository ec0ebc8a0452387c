#include "slurm/slurm_state.h"

#include <stddef.h>
#include <string.h>

#define WORD_SIZE 24

static const struct {
	const char *word;
	enum slurm_class state_class;
} words[] = {
    {"PENDING", SLURM_PENDING},      {"REQUEUED", SLURM_PENDING},      {"REQUEUE_FED", SLURM_PENDING},
    {"REQUEUE_HOLD", SLURM_PENDING}, {"RESV_DEL_HOLD", SLURM_PENDING}, {"REVOKED", SLURM_REVOKED},
    {"SPECIAL_EXIT", SLURM_PENDING}, {"CONFIGURING", SLURM_RUNNING},   {"RUNNING", SLURM_RUNNING},
    {"RESIZING", SLURM_RUNNING},     {"COMPLETING", SLURM_RUNNING},    {"SUSPENDED", SLURM_RUNNING},
    {"STOPPED", SLURM_RUNNING},      {"SIGNALING", SLURM_RUNNING},     {"STAGE_OUT", SLURM_RUNNING},
    {"COMPLETED", SLURM_SUCCEEDED},  {"TIMEOUT", SLURM_RESUMABLE},     {"PREEMPTED", SLURM_RESUMABLE},
    {"NODE_FAIL", SLURM_RESUMABLE},  {"BOOT_FAIL", SLURM_RESUMABLE},   {"CANCELLED", SLURM_CANCELLED},
    {"FAILED", SLURM_FAILED},        {"OUT_OF_MEMORY", SLURM_FAILED},  {"DEADLINE", SLURM_FAILED},
};

const char *slurm_state_word(const char *word, char buf[WORD_SIZE])
{
	size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	if (length >= WORD_SIZE)
		length = WORD_SIZE - 1;
	memcpy(buf, word, length);
	buf[length] = '\0';
	return buf;
}

enum slurm_class slurm_state_class(const char *word)
{
	char bare[WORD_SIZE];
	slurm_state_word(word, bare);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i].word, bare) == 0)
			return words[i].state_class;
	return SLURM_UNKNOWN;
}
