#include "config/settings/settings_people.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define JOBS_MAX 1000000
#define WEIGHT_MAX 1000
#define USERS "/limits/users"
#define FAIR_SHARE "/fair_share"
#define WEIGHTS "/fair_share/weights"

static const char *const person_keys[] = {"active_jobs", "submitted_jobs", NULL};
static const char *const share_keys[] = {"weights", NULL};

/* As the names of users are: a letter or '_', then also digits, '.', '-'. */
static bool is_user(const char *name)
{
	return strchr("0123456789.-", name[0]) == NULL &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

bool settings_check_user(const struct reader *r, const char *name, const char *pointer)
{
	if (is_user(name))
		return true;
	reader_error(r, pointer,
		     "'%.64s' is no user's name: lower-case letters, digits, '_', '.' and '-', a letter first", name);
	return false;
}

/* The person's entry, a new one with everybody's limits when there is none yet; NULL with an error at pointer. */
static struct settings_person *entry(const struct reader *r, struct settings *s, const char *name, const char *pointer)
{
	for (size_t i = 0; i < s->person_count; i++)
		if (strcmp(s->people[i].name, name) == 0)
			return &s->people[i];
	if (!settings_check_user(r, name, pointer))
		return NULL;
	if (s->person_count == SETTINGS_PEOPLE_MAX) {
		reader_error(r, pointer, "More than %d people", SETTINGS_PEOPLE_MAX);
		return NULL;
	}
	s->people = mem_realloc(s->people, s->person_count + 1, sizeof *s->people);
	s->people[s->person_count] = settings_everybody(s);
	s->people[s->person_count].name = mem_strdup(name);
	return &s->people[s->person_count++];
}

static void read_users(const struct reader *r, const json_t *users, struct settings *s)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)users, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(USERS, name);
		if (!json_is_object(value)) {
			reader_error(r, pointer,
				     "The limits of a person are a mapping of active_jobs and submitted_jobs");
			continue;
		}
		struct settings_person *person = entry(r, s, name, pointer);
		if (person == NULL)
			continue;
		reader_keys(r, value, pointer, person_keys, true);
		person->active_jobs =
		    reader_int(r, value, pointer, "active_jobs", 1, JOBS_MAX, s->limits.active_jobs_per_user);
		person->submitted_jobs =
		    reader_int(r, value, pointer, "submitted_jobs", 1, JOBS_MAX, s->limits.submitted_jobs_per_user);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct settings_person *x = a;
	const struct settings_person *y = b;
	return strcmp(x->name, y->name);
}

void settings_read_people(const struct reader *r, const json_t *root, struct settings *s)
{
	const json_t *limits = reader_get(root, "limits");
	if (json_is_object(limits))
		read_users(r, reader_object(r, limits, "/limits", "users"), s);
	const json_t *share = reader_object(r, root, "", "fair_share");
	reader_keys(r, share, FAIR_SHARE, share_keys, true);
	const json_t *weights = reader_object(r, share, FAIR_SHARE, "weights");
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)weights, name, value) {
		CLEANUP(mem_freep) char *pointer = reader_join(WEIGHTS, name);
		struct settings_person *person = entry(r, s, name, pointer);
		if (person != NULL)
			person->weight = reader_int(r, weights, WEIGHTS, name, 1, WEIGHT_MAX, 1);
	}
	if (s->person_count > 1)
		qsort(s->people, s->person_count, sizeof *s->people, by_name);
}
