#include "config/settings/settings_quotas.h"

#include "base/mem.h"
#include "config/settings/settings_people.h"

#include <string.h>

#define QUOTAS "/quotas"
#define HOURS_MAX 1000000000
#define LABEL_MAX 1024

static const char *const quotas_keys[] = {"default", "users", "labels", "all", NULL};
static const char *const quota_keys[] = {"gpu_hours", "per", NULL};

/* {gpu_hours: N, per: month}; gpu_hours null is no limit. */
static int64_t read_quota(const struct reader *r, const json_t *value, const char *pointer)
{
	if (value == NULL || json_is_null(value))
		return -1;
	if (!json_is_object(value)) {
		reader_error(r, pointer, "A quota is a mapping of gpu_hours and per, as {gpu_hours: 1000, per: month}");
		return -1;
	}
	reader_keys(r, value, pointer, quota_keys, true);
	CLEANUP(mem_freep) char *per = reader_text_or(r, value, pointer, "per", READER_LINE, "month");
	if (per != NULL && strcmp(per, "month") != 0) {
		CLEANUP(mem_freep) char *place = reader_join(pointer, "per");
		reader_error(r, place, "per must be month");
	}
	int64_t hours = reader_int(r, value, pointer, "gpu_hours", 0, HOURS_MAX, -1);
	return hours >= 0 ? hours * 3600 : -1;
}

static struct settings_quota *read_list(const struct reader *r, const json_t *quotas, const char *key, bool labels,
					size_t most, size_t *ret_count)
{
	CLEANUP(mem_freep) char *base = reader_join(QUOTAS, key);
	const json_t *list = reader_object(r, quotas, QUOTAS, key);
	struct settings_quota *items = NULL;
	const char *name;
	json_t *value;
	*ret_count = 0;
	if (json_object_size(list) > most) {
		reader_error(r, base, "More than %zu %s", most, key);
		return NULL;
	}
	json_object_foreach((json_t *)list, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(base, name);
		const char *colon = strchr(name, ':');
		if (labels && (colon == NULL || colon == name || strlen(name) > LABEL_MAX)) {
			reader_error(r, pointer, "'%.64s' is no label: write \"KEY:VALUE\", with its quotes", name);
			continue;
		}
		if (!labels && !settings_check_user(r, name, pointer))
			continue;
		items = mem_realloc(items, *ret_count + 1, sizeof *items);
		items[(*ret_count)++] =
		    (struct settings_quota){.name = mem_strdup(name), .gpu_s = read_quota(r, value, pointer)};
	}
	return items;
}

void settings_read_quotas(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *quotas = reader_object(r, root, "", "quotas");
	struct settings_quotas *q = &s->quotas;
	reader_keys(r, quotas, QUOTAS, quotas_keys, true);
	q->all_gpu_s = read_quota(r, reader_get(quotas, "all"), QUOTAS "/all");
	q->default_gpu_s = read_quota(r, reader_get(quotas, "default"), QUOTAS "/default");
	q->users = read_list(r, quotas, "users", false, SETTINGS_QUOTA_USERS_MAX, &q->user_count);
	q->labels = read_list(r, quotas, "labels", true, SETTINGS_QUOTA_LABELS_MAX, &q->label_count);
	q->any = q->all_gpu_s >= 0 || q->default_gpu_s >= 0 || q->user_count > 0 || q->label_count > 0;
}
