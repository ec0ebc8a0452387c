/* Owns what is told of quotas. */
#include "base/clock.h"
#include "db/usage.h"
#include "service/service.h"

static int add(json_t *list, struct db *db, enum usage_of of, const char *word, const char *name, int64_t most_s,
	       struct nel_err *err)
{
	char until[CLOCK_RFC3339_SIZE];
	int64_t now_s = clock_now_s();
	int64_t begin_s = 0;
	int64_t end_s = 0;
	int64_t used_s = 0;
	if (most_s < 0)
		return 0;
	if (usage_month(db, now_s, of, name, &used_s, err) != 0)
		return -1;
	clock_month(now_s, &begin_s, &end_s);
	json_array_append_new(list,
			      json_pack("{s:s, s:s?, s:I, s:I, s:s}", "of", word, "name",
					of != USAGE_OF_ALL ? name : NULL, "gpu_hours", (json_int_t)(most_s / 3600),
					"used_gpu_s", (json_int_t)used_s, "until", clock_rfc3339(end_s, until)));
	return 0;
}

int service_quotas(struct service *service, struct db *db, const char *user, json_t **ret_quotas, struct nel_err *err)
{
	const struct settings *settings = service->settings;
	const struct settings_quotas *quotas = &settings->quotas;
	CLEANUP(json_freep) json_t *list = json_array();
	if (quotas->any) {
		if (add(list, db, USAGE_OF_USER, "user", user, settings_quota_of(settings, user), err) != 0)
			return -1;
		for (size_t i = 0; i < quotas->label_count; i++)
			if (add(list, db, USAGE_OF_LABEL, "label", quotas->labels[i].name, quotas->labels[i].gpu_s,
				err) != 0)
				return -1;
		if (add(list, db, USAGE_OF_ALL, "all", "", quotas->all_gpu_s, err) != 0)
			return -1;
	}
	*ret_quotas = TAKE(list);
	return 0;
}
