/* Owns the followed files: their rings, their followers, and the remote reader of each account. */
#include "service/log_followers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "remote/readers.h"
#include "remote/workers.h"
#include "service/log_place.h"
#include "slurm/files.h"
#include "slurm/follow.h"

#include <pthread.h>
#include <string.h>

#define SILENCE_MAX_MS 20000 /* the reader says something every third of a second */
#define RETRY_MS 1000        /* doubled after each failure */
#define RETRY_MAX_MS 30000
#define TAKE_BYTES (64 * 1024)

_Static_assert(READER_COMMAND_SIZE == REMOTE_COMMAND_SIZE, "what is rendered fits what is run");

struct file {
	struct file *next;
	struct group *group;
	int id;
	char *dir, *name; /* it is <dir>/logs/<name> */
	struct log_follower *first;
	char *ring;         /* byte n of the file is at n % FOLLOWERS_RING_BYTES */
	int64_t begin, end; /* the ring has these bytes of the file; end -1: not begun */
	int64_t polls;
	bool moved;          /* since the last poll */
	uint64_t generation; /* counts the file's beginnings */
	bool asked;          /* the reader knows of it */
};

struct log_follower {
	struct log_follower *next;
	struct file *file;
	uint64_t generation;
	void (*wake)(void *arg);
	void *arg;
};

/* An account on a cluster. Lives as long as the followers. */
struct group {
	struct reading reading; /* first */
	struct group *next;
	struct log_followers *followers;
	char *cluster, *identity;
	struct file *files;
	struct str input; /* not taken yet */
	struct follow_parser parser;
	bool running; /* the reading is the reader's */
	bool broken;  /* its output cannot be read */
	int64_t retry_at_ms, pause_ms;
};

struct log_followers {
	pthread_mutex_t lock; /* of everything here; taken before the lanes' and before what wake() takes */
	struct lanes *lanes;
	struct group *groups;
	int last_id;
};

static void wake_all(const struct file *file)
{
	for (const struct log_follower *follower = file->first; follower != NULL; follower = follower->next)
		follower->wake(follower->arg);
}

static void put(struct file *file, const char *data, size_t size)
{
	if (file->ring == NULL)
		file->ring = mem_calloc(1, FOLLOWERS_RING_BYTES);
	for (size_t done = 0; done < size;) {
		size_t at = (size_t)((file->end + (int64_t)done) % FOLLOWERS_RING_BYTES);
		size_t part = FOLLOWERS_RING_BYTES - at < size - done ? FOLLOWERS_RING_BYTES - at : size - done;
		memcpy(file->ring + at, data + done, part);
		done += part;
	}
	file->end += (int64_t)size;
	if (file->end - file->begin > FOLLOWERS_RING_BYTES)
		file->begin = file->end - FOLLOWERS_RING_BYTES;
}

static struct file *file_of(const struct group *group, int id)
{
	struct file *file = group->files;
	while (file != NULL && file->id != id)
		file = file->next;
	return file;
}

/* With the lock held. */
static void take_answer(const struct follow_answer *answer, void *arg)
{
	struct group *group = arg;
	group->pause_ms = 0;
	if (answer->kind == FOLLOW_POLL) {
		for (struct file *file = group->files; file != NULL; file = file->next) {
			if (file->moved)
				file->moved = false;
			else if (file->asked)
				file->polls++;
		}
		return;
	}
	struct file *file = file_of(group, answer->id);
	if (file == NULL) /* dropped meanwhile */
		return;
	if (answer->kind == FOLLOW_ANEW) {
		file->begin = file->end = 0;
		file->generation++;
	} else if (file->end < 0 || (answer->kind == FOLLOW_DATA && answer->offset != file->end)) {
		file->begin = file->end = answer->offset;
	}
	file->moved = true;
	if (answer->kind == FOLLOW_DATA)
		put(file, answer->data, answer->size);
	wake_all(file);
}

static size_t room(struct reading *reading)
{
	(void)reading;
	return TAKE_BYTES; /* rings forget: slow followers hold nobody up */
}

static void output(struct reading *reading, const char *data, size_t size)
{
	struct group *group = (struct group *)reading;
	struct nel_err err;
	pthread_mutex_lock(&group->followers->lock);
	if (!group->broken && follow_parse(&group->parser, data, size, take_answer, group, &err) != 0) {
		group->broken = true;
		lane_reader_cancel(reading);
	}
	pthread_mutex_unlock(&group->followers->lock);
}

static void input(struct reading *reading, struct str *ret_input)
{
	struct group *group = (struct group *)reading;
	pthread_mutex_lock(&group->followers->lock);
	*ret_input = group->input;
	group->input = (struct str){0};
	pthread_mutex_unlock(&group->followers->lock);
}

static int prepare(struct reading *reading, const char *const *environment, char ret_command[READER_COMMAND_SIZE],
		   char **ret_input, size_t *ret_size, struct nel_err *err)
{
	(void)reading;
	(void)err;
	follow_render(environment, ret_command, ret_input, ret_size);
	return 0;
}

static void end(struct reading *reading, const struct nel_err *err)
{
	struct group *group = (struct group *)reading;
	pthread_mutex_lock(&group->followers->lock);
	group->running = false;
	if (group->files != NULL) {
		group->pause_ms = group->pause_ms == 0 ? RETRY_MS : 2 * group->pause_ms;
		if (group->pause_ms > RETRY_MAX_MS)
			group->pause_ms = RETRY_MAX_MS;
		group->retry_at_ms =
		    atomic_load(&reading->cancelled) && !group->broken ? 0 : clock_mono_ms() + group->pause_ms;
		log_debug("the log follower ended", LOG_S("cluster", group->cluster),
			  LOG_S("error", err != NULL ? err->msg : "its output ended"));
	}
	pthread_mutex_unlock(&group->followers->lock);
}

static const struct reading_type follower_type = {.prepare = prepare,
						  .room = room,
						  .output = output,
						  .input = input,
						  .end = end,
						  .silence_max_ms = SILENCE_MAX_MS,
						  .lasts = true};

static void ask_for(struct file *file)
{
	follow_add(&file->group->input, file->id, file->end, file->dir, file->name);
	file->asked = true;
}

/* With the lock held: sees to it that a reader runs when one is wanted. */
static int tend(struct group *group, struct nel_err *err)
{
	if (group->running || group->files == NULL || clock_mono_ms() < group->retry_at_ms)
		return 0;
	str_clear(&group->input);
	follow_parser_done(&group->parser);
	group->broken = false;
	for (struct file *file = group->files; file != NULL; file = file->next)
		ask_for(file);
	group->reading = (struct reading){.type = &follower_type};
	group->running = true;
	if (lanes_read(group->followers->lanes, group->cluster, group->identity, &group->reading, err) == 0)
		return 0;
	group->running = false;
	group->retry_at_ms = clock_mono_ms() + RETRY_MS;
	return -1;
}

struct log_followers *log_followers_new(struct lanes *lanes)
{
	struct log_followers *followers = mem_calloc(1, sizeof *followers);
	followers->lanes = lanes;
	pthread_mutex_init(&followers->lock, NULL);
	return followers;
}

void log_followers_free(struct log_followers *followers)
{
	if (followers == NULL)
		return;
	for (struct group *group = followers->groups, *next; group != NULL; group = next) {
		next = group->next;
		follow_parser_done(&group->parser);
		str_done(&group->input);
		free(group->cluster);
		free(group->identity);
		free(group);
	}
	pthread_mutex_destroy(&followers->lock);
	free(followers);
}

static struct group *find_group(const struct log_followers *followers, const struct job_row *job)
{
	struct group *group = followers->groups;
	while (group != NULL &&
	       (strcmp(group->cluster, job->cluster) != 0 || strcmp(group->identity, job->identity) != 0))
		group = group->next;
	return group;
}

static struct file *find_file(const struct group *group, const struct log_place *place)
{
	struct file *file = group->files;
	while (file != NULL && (strcmp(file->name, place->file) != 0 || strcmp(file->dir, place->dir) != 0))
		file = file->next;
	return file;
}

static struct group *group_for(struct log_followers *followers, const struct job_row *job)
{
	struct group *group = find_group(followers, job);
	if (group == NULL) {
		group = mem_calloc(1, sizeof *group);
		group->followers = followers;
		group->cluster = mem_strdup(job->cluster);
		group->identity = mem_strdup(job->identity);
		group->next = followers->groups;
		followers->groups = group;
	}
	return group;
}

static struct file *file_for(struct group *group, const struct log_place *place, struct nel_err *err)
{
	struct file *file = find_file(group, place);
	if (file != NULL)
		return file;
	int count = 0;
	for (file = group->files; file != NULL; file = file->next)
		count++;
	if (count >= FOLLOWERS_FILES_MAX) {
		err_set(err, NEL_BUSY, "%d log files of this cluster are followed already, which is the limit",
			FOLLOWERS_FILES_MAX);
		return NULL;
	}
	file = mem_calloc(1, sizeof *file);
	*file = (struct file){
	    .next = group->files, .group = group, .end = -1, .id = ++group->followers->last_id % 1000000000};
	file->dir = mem_strdup(place->dir);
	file->name = mem_strdup(place->file);
	group->files = file;
	if (group->running) {
		ask_for(file);
		lane_reader_wake(&group->reading);
	}
	return file;
}

/* With the lock held: nobody follows it any more. */
static void drop_file(struct file *file)
{
	struct group *group = file->group;
	struct file **at = &group->files;
	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	if (group->running && group->files == NULL) {
		lane_reader_cancel(&group->reading);
	} else if (group->running) {
		follow_drop(&group->input, file->id);
		lane_reader_wake(&group->reading);
	}
	free(file->ring);
	free(file->dir);
	free(file->name);
	free(file);
}

static int follow(struct log_followers *followers, const struct job_row *job, const char *name,
		  struct log_follower *follower, struct nel_err *err)
{
	CLEANUP(log_place_done) struct log_place place = log_place_of(job, name);
	struct group *group = group_for(followers, job);
	struct file *file = file_for(group, &place, err);
	if (file == NULL)
		return -1;
	if (tend(group, err) != 0) {
		if (file->first == NULL)
			drop_file(file);
		return -1;
	}
	follower->file = file;
	follower->generation = file->generation;
	follower->next = file->first;
	file->first = follower;
	return 0;
}

int log_followers_follow(struct log_followers *followers, const struct job_row *job, const char *name,
			 void (*wake)(void *arg), void *arg, struct log_follower **ret_follower, struct nel_err *err)
{
	if (!slurm_files_path_ok(name) || job->job_dir[0] != '/' || str_has_control(job->job_dir))
		return err_set(err, NEL_INVALID, "the path leaves the job's directory");
	struct log_follower *follower = mem_calloc(1, sizeof *follower);
	follower->wake = wake;
	follower->arg = arg;
	pthread_mutex_lock(&followers->lock);
	int rc = follow(followers, job, name, follower, err);
	pthread_mutex_unlock(&followers->lock);
	if (rc == 0)
		*ret_follower = follower;
	else
		free(follower);
	return rc;
}

void log_follower_leave(struct log_follower *follower)
{
	if (follower == NULL)
		return;
	struct log_followers *followers = follower->file->group->followers;
	pthread_mutex_lock(&followers->lock);
	struct log_follower **at = &follower->file->first;
	while (*at != follower)
		at = &(*at)->next;
	*at = follower->next;
	if (follower->file->first == NULL)
		drop_file(follower->file);
	pthread_mutex_unlock(&followers->lock);
	free(follower);
}

enum follower_look log_follower_read(struct log_follower *follower, int64_t at, char *buffer, size_t max,
				     size_t *ret_size)
{
	struct file *file = follower->file;
	struct log_followers *followers = file->group->followers;
	enum follower_look look = FOLLOWER_DATA;
	pthread_mutex_lock(&followers->lock);
	tend(file->group, NULL);
	if (follower->generation != file->generation) {
		follower->generation = file->generation;
		look = FOLLOWER_ANEW;
	} else if (file->end < 0 || at >= file->end) {
		look = FOLLOWER_END;
	} else if (at < file->begin) {
		look = FOLLOWER_BEHIND;
	} else {
		size_t size = (size_t)(file->end - at) < max ? (size_t)(file->end - at) : max;
		size_t first = (size_t)(at % FOLLOWERS_RING_BYTES);
		size_t part = FOLLOWERS_RING_BYTES - first < size ? FOLLOWERS_RING_BYTES - first : size;
		memcpy(buffer, file->ring + first, part);
		memcpy(buffer + part, file->ring, size - part);
		*ret_size = size;
	}
	pthread_mutex_unlock(&followers->lock);
	return look;
}

int64_t follower_polls(struct log_follower *follower)
{
	struct log_followers *followers = follower->file->group->followers;
	pthread_mutex_lock(&followers->lock);
	int64_t polls = follower->file->polls;
	pthread_mutex_unlock(&followers->lock);
	return polls;
}

bool log_followers_has(struct log_followers *followers, const struct job_row *job, const char *name)
{
	pthread_mutex_lock(&followers->lock);
	CLEANUP(log_place_done) struct log_place place = log_place_of(job, name);
	const struct group *group = find_group(followers, job);
	const struct file *file = group != NULL ? find_file(group, &place) : NULL;
	bool there = file != NULL && file->end >= 0;
	pthread_mutex_unlock(&followers->lock);
	return there;
}
