/* Owns a lane's long commands: the thread, their session, who is read when. */
#include "remote/readers.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ssh/command.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLOCK_BYTES (64 * 1024)
#define TURN_BYTES (1024 * 1024) /* taken from one command before the next one's turn */
#define IDLE_MS 30000            /* the session stays for the next reading */
#define WAIT_MS 1000
#define CLOSING_MAX 16 /* channels whose end the server has not confirmed */

struct lane_reader {
	struct ssh_pool *(*get_pool)(void *arg);
	void *arg;
	int wake_fd; /* eventfd(2) */

	pthread_mutex_t lock; /* of these */
	struct reading *first_new, *last_new;
	int transfers, followers;
	char persons[READER_TRANSFERS_MAX][READER_PERSON_SIZE]; /* whose the transfers are */
	bool stopping;
	pthread_t thread;
	bool started; /* to be joined */
	bool runs;    /* takes new readings */

	/* The thread's. */
	struct ssh_pool *pool;
	struct ssh_session *session;
	int64_t used_ms;
	int64_t heard_ms; /* anything came on the session */
	struct reading *active;
	bool more; /* a turn ended before the output did */
	struct ssh_command *closing[CLOSING_MAX];
	char block[BLOCK_BYTES];
};

static void wake(struct lane_reader *reader)
{
	uint64_t one = 1;
	ssize_t n = write(reader->wake_fd, &one, sizeof one);
	(void)n; /* EAGAIN: it is awake more than enough */
}

static void clear_wake(struct lane_reader *reader)
{
	uint64_t count;
	ssize_t n = read(reader->wake_fd, &count, sizeof count);
	(void)n;
}

void lane_reader_wake(struct reading *reading)
{
	wake(reading->reader);
}

static void *run(void *arg);

/* With the lock held. The thread ends when it has had nothing to do for a while. */
static int start_thread(struct lane_reader *reader, struct nel_err *err)
{
	if (reader->runs)
		return 0;
	if (reader->started)
		pthread_join(reader->thread, NULL); /* it has let go of the lock for the last time */
	int sys = pthread_create(&reader->thread, NULL, run, reader);
	reader->started = sys == 0;
	reader->runs = reader->started;
	return sys == 0 ? 0 : err_sys(err, NEL_BUSY, sys, "no thread can be started to read from the cluster");
}

/* With the lock held. */
static int check_room(const struct lane_reader *reader, const char *person, struct nel_err *err)
{
	int left = READER_TRANSFERS_MAX - reader->transfers;
	int own = 0;
	for (int i = 0; i < reader->transfers; i++)
		own += strcmp(reader->persons[i], person) == 0;
	if (left == 0)
		return err_set(err, NEL_BUSY,
			       "%d files are being transferred from this cluster already; try again soon",
			       READER_TRANSFERS_MAX);
	if (own >= left)
		return err_set(
		    err, NEL_BUSY,
		    "%d files are being transferred for you from this cluster already, and what is left is for "
		    "others; try again soon",
		    own);
	return 0;
}

int lane_reader_start(struct lane_reader *reader, struct reading *reading, struct nel_err *err)
{
	pthread_mutex_lock(&reader->lock);
	int rc = 0;
	if (reader->stopping)
		rc = err_set(err, NEL_BUSY, "the daemon is stopping");
	else if (reader->wake_fd < 0)
		rc = err_set(err, NEL_BUSY, "no descriptor is left to read from the cluster");
	else if (!reading->type->lasts)
		rc = check_room(reader, reading->person, err);
	if (rc == 0)
		rc = start_thread(reader, err);
	if (rc == 0) {
		reading->reader = reader;
		if (reading->type->lasts)
			reader->followers++;
		else
			memcpy(reader->persons[reader->transfers++], reading->person, READER_PERSON_SIZE);
		reading->next = NULL;
		if (reader->last_new != NULL)
			reader->last_new->next = reading;
		else
			reader->first_new = reading;
		reader->last_new = reading;
	}
	pthread_mutex_unlock(&reader->lock);
	if (rc == 0)
		wake(reader);
	return rc;
}

void lane_reader_cancel(struct reading *reading)
{
	atomic_store(&reading->cancelled, true);
	wake(reading->reader);
}

bool lane_reader_is_used(struct lane_reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	bool used = reader->transfers > 0 || reader->followers > 0;
	pthread_mutex_unlock(&reader->lock);
	return used;
}

void lane_reader_stats(struct lane_reader *reader, struct lane_reader_stats *ret_stats)
{
	pthread_mutex_lock(&reader->lock);
	*ret_stats = (struct lane_reader_stats){.transfers = reader->transfers, .followers = reader->followers};
	pthread_mutex_unlock(&reader->lock);
}

/* --- the thread --- */

static bool is_stopping(struct lane_reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	bool stopping = reader->stopping;
	pthread_mutex_unlock(&reader->lock);
	return stopping;
}

/* The command is left to the caller. The reading is gone after this. */
static void end_reading(struct lane_reader *reader, struct reading *reading, const struct nel_err *err)
{
	bool lasts = reading->type->lasts;
	char person[READER_PERSON_SIZE];
	memcpy(person, reading->person, sizeof person);
	reading->type->end(reading, err);
	pthread_mutex_lock(&reader->lock);
	if (lasts) {
		reader->followers--;
	} else {
		int i = 0;
		while (strcmp(reader->persons[i], person) != 0)
			i++;
		memmove(reader->persons[i], reader->persons[--reader->transfers], READER_PERSON_SIZE);
	}
	pthread_mutex_unlock(&reader->lock);
}

static void close_session(struct lane_reader *reader, const struct nel_err *err)
{
	for (int i = 0; i < CLOSING_MAX; i++)
		if (reader->closing[i] != NULL)
			ssh_command_abandon(TAKE(reader->closing[i]));
	if (reader->session != NULL)
		ssh_pool_take_back(reader->pool, err);
	reader->session = NULL;
}

/* The session is broken, or could not be had: everything ends. */
static void fail_all(struct lane_reader *reader, const struct nel_err *err)
{
	for (struct reading *reading = TAKE(reader->active), *next; reading != NULL; reading = next) {
		next = reading->next;
		if (reading->running != NULL)
			ssh_command_abandon(TAKE(reading->running));
		end_reading(reader, reading, err);
	}
	close_session(reader, reader->session != NULL ? err : NULL);
}

/* Lets go of a command; false when too many ends are unconfirmed. */
static bool close_command(struct lane_reader *reader, struct ssh_command *command)
{
	if (command == NULL || ssh_command_close(command))
		return true;
	for (int i = 0; i < CLOSING_MAX; i++) {
		if (reader->closing[i] == NULL) {
			reader->closing[i] = command;
			return true;
		}
	}
	ssh_command_abandon(command);
	return false;
}

static bool close_further(struct lane_reader *reader)
{
	bool left = false;
	for (int i = 0; i < CLOSING_MAX; i++) {
		if (reader->closing[i] != NULL && ssh_command_close(reader->closing[i]))
			reader->closing[i] = NULL;
		left |= reader->closing[i] != NULL;
	}
	return left;
}

static void take_new(struct lane_reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	struct reading *first = TAKE(reader->first_new);
	reader->last_new = NULL;
	pthread_mutex_unlock(&reader->lock);
	struct reading **end = &reader->active;
	while (*end != NULL)
		end = &(*end)->next;
	*end = first;
}

static int start_command(struct lane_reader *reader, struct reading *reading, struct nel_err *err)
{
	char command[READER_COMMAND_SIZE];
	char *input = NULL;
	size_t size = 0;
	if (reading->type->prepare(reading, ssh_pool_environment(reader->pool), command, &input, &size, err) != 0)
		return -1;
	int rc = ssh_command_start(reader->session, command, input, size, &reading->running, err);
	secret_free(input, size);
	if (rc != 0)
		return -1;
	ssh_pool_count_exec(reader->pool);
	reading->heard_ms = clock_mono_ms();
	reader->heard_ms = reading->heard_ms; /* the server has answered */
	return 0;
}

/* What one command's turn came to. */
enum turn { TURN_GOES_ON, TURN_ENDED, TURN_BROKEN };

/* Nothing came for too long. Where others were heard since, the connection lives, and what hangs is this command's
 * own, such as its file system: it ends alone. Others that depend on a connection that died have limits as well. */
static enum turn give_up(const struct lane_reader *reader, const struct reading *reading, struct nel_err *err)
{
	err_set(err, NEL_REMOTE, "nothing came from the cluster for %lld s",
		(long long)(reading->type->silence_max_ms / 1000));
	err->sys = ETIMEDOUT;
	return reader->heard_ms > reading->heard_ms ? TURN_ENDED : TURN_BROKEN;
}

static enum turn take_output(struct lane_reader *reader, struct reading *reading, bool *ret_wants, struct nel_err *err)
{
	size_t taken = 0;
	for (;;) {
		size_t room = reading->type->room(reading);
		size_t got = 0;
		bool ended = false;
		*ret_wants = room > 0;
		if (room == 0 || taken >= TURN_BYTES) {
			reader->more |= room > 0;
			reading->heard_ms = clock_mono_ms();
			return TURN_GOES_ON;
		}
		if (ssh_command_read(reading->running, reader->block, room < BLOCK_BYTES ? room : BLOCK_BYTES, &got,
				     &ended, err) != 0)
			return TURN_BROKEN;
		if (got == 0 && !ended)
			break;
		if (ended)
			return TURN_ENDED;
		reading->type->output(reading, reader->block, got);
		reading->heard_ms = clock_mono_ms();
		reader->heard_ms = reading->heard_ms;
		taken += got;
	}
	if (taken > 0 && reading->type->pause != NULL)
		reading->type->pause(reading);
	bool silent = clock_mono_ms() - reading->heard_ms > reading->type->silence_max_ms;
	return silent ? give_up(reader, reading, err) : TURN_GOES_ON;
}

static enum turn take_turn(struct lane_reader *reader, struct reading *reading, bool *ret_wants, struct nel_err *err)
{
	*ret_wants = false;
	if (atomic_load(&reading->cancelled)) {
		err_set(err, NEL_BUSY, "not wanted any more");
		return TURN_ENDED;
	}
	if (reading->running == NULL && start_command(reader, reading, err) != 0)
		return err->kind == NEL_BUSY || err->kind == NEL_INVALID ? TURN_ENDED : TURN_BROKEN;
	if (reading->type->input != NULL) {
		struct str input = {0};
		reading->type->input(reading, &input);
		ssh_command_write(reading->running, str_text(&input), input.len);
		str_done(&input);
	}
	return take_output(reader, reading, ret_wants, err);
}

/* Gives each its turn; *ret_wants: one of them can take more. -1: the session is broken. */
static int serve(struct lane_reader *reader, bool *ret_wants, struct nel_err *err)
{
	*ret_wants = false;
	reader->more = false;
	for (struct reading **at = &reader->active; *at != NULL;) {
		struct reading *reading = *at;
		bool wants = false;
		*err = (struct nel_err){0};
		enum turn turn = take_turn(reader, reading, &wants, err);
		*ret_wants |= wants;
		if (turn == TURN_BROKEN)
			return -1;
		if (turn == TURN_GOES_ON) {
			at = &reading->next;
			continue;
		}
		*at = reading->next;
		bool closed = close_command(reader, TAKE(reading->running));
		end_reading(reader, reading, err->kind == NEL_OK ? NULL : err);
		if (!closed)
			return err_set(err, NEL_REMOTE, "the cluster does not end its commands");
	}
	return 0;
}

/* Nothing is to be read: keeps the session for a while. False when that is over, and the thread ends. */
static bool rest(struct lane_reader *reader)
{
	struct pollfd wake_up = {.fd = reader->wake_fd, .events = POLLIN};
	struct nel_err err = {0};
	poll(&wake_up, 1, WAIT_MS);
	if (reader->session != NULL && ssh_session_keepalive(reader->session, &err) != 0)
		close_session(reader, NULL);
	if (reader->session != NULL)
		close_further(reader);
	if (clock_mono_ms() - reader->used_ms < IDLE_MS)
		return true;
	close_session(reader, NULL);
	pthread_mutex_lock(&reader->lock);
	reader->runs = reader->first_new != NULL;
	bool goes_on = reader->runs;
	pthread_mutex_unlock(&reader->lock);
	return goes_on;
}

static void work(struct lane_reader *reader)
{
	struct nel_err err = {0};
	bool wants = false;
	reader->used_ms = clock_mono_ms();
	if (reader->session == NULL && ssh_pool_lend(reader->pool, &reader->session, &err) != 0) {
		fail_all(reader, &err);
		return;
	}
	if (serve(reader, &wants, &err) != 0) {
		fail_all(reader, &err);
		return;
	}
	wants |= close_further(reader);
	if (reader->active != NULL &&
	    ssh_session_wait(reader->session, wants, reader->wake_fd, reader->more ? 0 : WAIT_MS, &err) != 0)
		fail_all(reader, &err);
}

static void *run(void *arg)
{
	struct lane_reader *reader = arg;
	reader->pool = reader->get_pool(reader->arg);
	reader->used_ms = clock_mono_ms();
	while (!is_stopping(reader)) {
		clear_wake(reader);
		take_new(reader);
		if (reader->active != NULL)
			work(reader);
		else if (!rest(reader))
			return NULL;
	}
	struct nel_err err = {0};
	err_set(&err, NEL_BUSY, "the daemon is stopping");
	take_new(reader);
	fail_all(reader, &err);
	return NULL;
}

struct lane_reader *lane_reader_new(struct ssh_pool *(*get_pool)(void *arg), void *arg)
{
	struct lane_reader *reader = mem_calloc(1, sizeof *reader);
	*reader = (struct lane_reader){.get_pool = get_pool, .arg = arg};
	pthread_mutex_init(&reader->lock, NULL);
	reader->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return reader;
}

void lane_reader_interrupt(struct lane_reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	reader->stopping = true;
	pthread_mutex_unlock(&reader->lock);
	wake(reader);
}

void lane_reader_free(struct lane_reader *reader)
{
	if (reader == NULL)
		return;
	lane_reader_interrupt(reader);
	if (reader->started)
		pthread_join(reader->thread, NULL);
	if (reader->wake_fd >= 0)
		close(reader->wake_fd);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}
