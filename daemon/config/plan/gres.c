/* Slurm's lists of generic resources, as far as they tell of GPUs. */
#include "config/plan/gres.h"

#include "base/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ITEM_SIZE 128

/* What a list has said so far; -1: nothing. */
struct sums {
	int64_t of_types, without_type;
};

/* "gres/" or "gres:" may stand before a name. */
static char *skip_prefix(char *item)
{
	return str_starts_with(item, "gres/") || str_starts_with(item, "gres:") ? item + strlen("gres/") : item;
}

/* "", "8", "a100", "a100:8": what follows the name, or all of it. */
static bool add(struct sums *sums, const char *text)
{
	const char *colon = strpbrk(text, ":=");
	const char *number = colon != NULL ? colon + 1 : text;
	int64_t *sum = colon != NULL ? &sums->of_types : &sums->without_type;
	long long count = 1;
	if (!str_to_int(number, 0, GRES_GPUS_MAX, &count)) {
		if (colon != NULL || strspn(text, "0123456789") == strlen(text)) /* no count, or too large a one */
			return false;
		sum = &sums->of_types; /* a type alone */
	}
	*sum = (*sum < 0 ? 0 : *sum) + count;
	return *sum <= GRES_GPUS_MAX;
}

/* One item of --gres. What is no GPU adds nothing. */
static bool add_gres(struct sums *sums, char *item)
{
	const char *name = skip_prefix(item);
	size_t length = strcspn(name, ":=");
	if (length != strlen("gpu") || strncmp(name, "gpu", length) != 0)
		return true;
	return add(sums, name[length] == '\0' ? "1" : name + length + 1);
}

static bool add_per_node(struct sums *sums, char *item)
{
	return add(sums, item);
}

static int64_t sum_up(const char *list, bool (*add_item)(struct sums *, char *))
{
	struct sums sums = {-1, -1};
	for (size_t length; *list != '\0'; list += length, list += *list == ',') {
		char item[ITEM_SIZE];
		length = strcspn(list, ",");
		if (length >= sizeof item)
			return -1;
		memcpy(item, list, length);
		item[length] = '\0';
		if (length > 0 && !add_item(&sums, item))
			return -1;
	}
	if (sums.without_type >= 0)
		return sums.without_type;
	return sums.of_types >= 0 ? sums.of_types : 0;
}

int64_t gres_gpus(const char *list)
{
	return sum_up(list, add_gres);
}

int64_t gres_gpus_per_node(const char *list)
{
	return sum_up(list, add_per_node);
}
