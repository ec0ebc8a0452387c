#include "slurm/slurm_state.h"

#include <stddef.h>
#include <string.h>

#define WORD_SIZE 24
#define WORD(text) text, sizeof text - 1

static const struct {
	const char *word;
	size_t length;
	enum slurm_class state_class;
} words[] = {
    /* Flags, in the order in which Slurm's own commands let one of them stand for all (job_state_string() of 22.05 and
     * 24.11). */
    {WORD("COMPLETING"), SLURM_RUNNING},
    {WORD("STAGE_OUT"), SLURM_RUNNING},
    {WORD("CONFIGURING"), SLURM_RUNNING},
    {WORD("RESIZING"), SLURM_RUNNING},
    {WORD("REQUEUED"), SLURM_PENDING},
    {WORD("REQUEUE_FED"), SLURM_PENDING},
    {WORD("REQUEUE_HOLD"), SLURM_PENDING},
    {WORD("SPECIAL_EXIT"), SLURM_PENDING},
    {WORD("STOPPED"), SLURM_RUNNING},
    {WORD("REVOKED"), SLURM_REVOKED},
    {WORD("RESV_DEL_HOLD"), SLURM_PENDING},
    {WORD("SIGNALING"), SLURM_RUNNING},
    {WORD("PENDING"), SLURM_PENDING},
    {WORD("RUNNING"), SLURM_RUNNING},
    {WORD("SUSPENDED"), SLURM_RUNNING},
    /* Flags that those commands do not show beside a state, or that came later (EXPEDITING: 25.11). */
    {WORD("EXPEDITING"), SLURM_RUNNING},
    {WORD("POWER_UP_NODE"), SLURM_RUNNING},
    {WORD("LAUNCH_FAILED"), SLURM_PENDING},
    {WORD("RECONFIG_FAIL"), SLURM_PENDING},
    {WORD("UPDATE_DB"), SLURM_RUNNING},
    {WORD(""), SLURM_UNKNOWN}, /* any other word: it may say that a job which has ended is to run again */
    {WORD("COMPLETED"), SLURM_SUCCEEDED},
    {WORD("TIMEOUT"), SLURM_RESUMABLE},
    {WORD("PREEMPTED"), SLURM_RESUMABLE},
    {WORD("NODE_FAIL"), SLURM_RESUMABLE},
    {WORD("BOOT_FAIL"), SLURM_RESUMABLE},
    {WORD("CANCELLED"), SLURM_CANCELLED},
    {WORD("FAILED"), SLURM_FAILED},
    {WORD("OUT_OF_MEMORY"), SLURM_FAILED},
    {WORD("DEADLINE"), SLURM_FAILED},
};
#define WORDS (sizeof words / sizeof words[0])

/* Where the word stands in the table; that of "" when it is not there. */
static size_t find_word(const char *word, size_t length)
{
	size_t unknown = 0;
	for (size_t i = 0; i < WORDS; i++) {
		if (words[i].length == length && memcmp(words[i].word, word, length) == 0)
			return i;
		if (words[i].length == 0)
			unknown = i;
	}
	return unknown;
}

static size_t word_length(const char *text)
{
	size_t length = 0;
	while ((text[length] >= 'A' && text[length] <= 'Z') || text[length] == '_')
		length++;
	return length;
}

const char *slurm_state_word(const char *text, char buf[WORD_SIZE])
{
	const char *telling = text;
	size_t telling_length = 0;
	size_t telling_at = WORDS;
	for (const char *at = text;; at++) {
		size_t length = word_length(at);
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
