#include "slurm/slurm_state.h"

#include <stddef.h>
#include <string.h>

#define WORD_SIZE 24

static const struct {
	const char *word;
	enum slurm_class state_class;
} words[] = {
    /* Flags, in the order in which Slurm's own commands let one of them stand for all (job_state_string() of 22.05 and
     * 24.11). */
    {"COMPLETING", SLURM_RUNNING},
    {"STAGE_OUT", SLURM_RUNNING},
    {"CONFIGURING", SLURM_RUNNING},
    {"RESIZING", SLURM_RUNNING},
    {"REQUEUED", SLURM_PENDING},
    {"REQUEUE_FED", SLURM_PENDING},
    {"REQUEUE_HOLD", SLURM_PENDING},
    {"SPECIAL_EXIT", SLURM_PENDING},
    {"STOPPED", SLURM_RUNNING},
    {"REVOKED", SLURM_REVOKED},
    {"RESV_DEL_HOLD", SLURM_PENDING},
    {"SIGNALING", SLURM_RUNNING},
    {"PENDING", SLURM_PENDING},
    {"RUNNING", SLURM_RUNNING},
    {"SUSPENDED", SLURM_RUNNING},
    /* Flags that those commands do not show beside a state, or that came later (EXPEDITING: 25.11). */
    {"EXPEDITING", SLURM_RUNNING},
    {"POWER_UP_NODE", SLURM_RUNNING},
    {"LAUNCH_FAILED", SLURM_PENDING},
    {"RECONFIG_FAIL", SLURM_PENDING},
    {"UPDATE_DB", SLURM_RUNNING},
    {"", SLURM_UNKNOWN}, /* any other word: it may say that a job which has ended is to run again */
    {"COMPLETED", SLURM_SUCCEEDED},
    {"TIMEOUT", SLURM_RESUMABLE},
    {"PREEMPTED", SLURM_RESUMABLE},
    {"NODE_FAIL", SLURM_RESUMABLE},
    {"BOOT_FAIL", SLURM_RESUMABLE},
    {"CANCELLED", SLURM_CANCELLED},
    {"FAILED", SLURM_FAILED},
    {"OUT_OF_MEMORY", SLURM_FAILED},
    {"DEADLINE", SLURM_FAILED},
};
#define WORDS (sizeof words / sizeof words[0])

/* Where the word stands in the table; that of "" when it is not there. */
static size_t find_word(const char *word, size_t length)
{
	size_t unknown = 0;
	for (size_t i = 0; i < WORDS; i++) {
		if (strlen(words[i].word) == length && memcmp(words[i].word, word, length) == 0)
			return i;
		if (words[i].word[0] == '\0')
			unknown = i;
	}
	return unknown;
}

const char *slurm_state_word(const char *text, char buf[WORD_SIZE])
{
	const char *telling = text;
	size_t telling_length = 0;
	size_t telling_at = WORDS;
	for (const char *at = text;; at++) {
		size_t length = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		size_t found = find_word(at, length);
		if (length > 0 && found < telling_at) {
			telling = at;
			telling_length = length;
			telling_at = found;
		}
		at += length;
		if (*at != ',' && *at != '+')
			break;
	}
	if (telling_length >= WORD_SIZE)
		telling_length = WORD_SIZE - 1;
	memcpy(buf, telling, telling_length);
	buf[telling_length] = '\0';
	return buf;
}

enum slurm_class slurm_state_class(const char *text)
{
	char bare[WORD_SIZE];
	slurm_state_word(text, bare);
	return words[find_word(bare, strlen(bare))].state_class;
}
