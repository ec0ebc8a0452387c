#include "slurm/remote.h"

#include "base/cleanup.h"
#include "base/embed.h"
#include "base/mem.h"
#include "base/secret.h"
#include "slurm/records.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* Of standard error, in a message. */
#define SAID_MAX 300

/* The scripts check that it came: a cut connection looks like the end of the input. */
#define COMPLETE_MARK "\n.complete\n"

#define MARK_BYTES 8

/* The command: takes the script from standard input, and runs it only when all of it is there, from its first byte to
 * its last. Files that the login shell runs before (.bashrc, .zshenv) have the same standard input, and one that reads
 * takes the script's beginning. Nothing here means another thing to any login shell: all stands in single quotes,
 * without one, '!' and line ends. head(1) takes no byte more than asked for from a pipe; sshd gives a pipe or a socket.
 */
static const char command_form[] =
    "exec /bin/bash -c 'account_lc_all=$LC_ALL; LC_ALL=C; m=\"#%s\"; s=$(head -c %zu); if [[ ${#s} == %zu && $s == "
    "\"$m\"*\"$m\" ]]; then "
    "eval \"$s\"; else cd; f=$(echo $(grep -lswE \"read|cat|select|stdin\" .bashrc .profile .bash_profile .zshenv "
    ".cshrc .tcshrc .config/fish/config.fish .ssh/rc /etc/ssh/sshrc /etc/bash.bashrc /etc/zsh/zshenv /etc/csh.cshrc "
    "$BASH_ENV)); printf \"\\nnel|begin|1\\nerror|remote|of the %%d bytes of the script only a part arrived, and none "
    "of "
    "it was run: a start-up file of the account reads standard input, which is not its own; let it do so for terminals "
    "only ([ -t 0 ]). To look at: %%s (login shell: %%s)\\nend\\n\" %zu \"${f:-all start-up files}\" \"$SHELL\"; fi'";

void remote_set(struct str *data, const char *name, const char *value)
{
	str_appendf(data, "%s=", name);
	str_append_shell(data, value);
	str_append_c(data, '\n');
}

void remote_set_number(struct str *data, const char *name, int64_t value)
{
	str_appendf(data, "%s=%" PRId64 "\n", name, value);
}

void remote_array_begin(struct str *data, const char *name)
{
	str_appendf(data, "%s=(", name);
}

void remote_array_add(struct str *data, const char *value)
{
	str_append_shell(data, value);
	str_append_c(data, ' ');
}

void remote_array_end(struct str *data)
{
	str_append(data, ")\n");
}

static void append_script(struct str *s, const char *name)
{
	char *path = mem_printf("daemon/slurm/script/%s.sh", name);
	const struct embed_file *file = embed_find(path);
	assert(file != NULL);
	str_append_n(s, file->data, file->size);
	free(path);
}

static void make_mark(char ret_mark[2 * MARK_BYTES + 1])
{
	unsigned char bytes[MARK_BYTES];
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(ret_mark, 2 * MARK_BYTES + 1, bytes, sizeof bytes);
}

/* The script stands between two marks that occur nowhere else in the input, and in one pair of braces: bash parses all
 * of it before it runs any. */
static void render_script(const struct remote_call *call, const char *const *environment, const char *mark,
			  struct str *s)
{
	int64_t wait_s = call->timeout_ms / 1000 - 2;
	str_appendf(s, "#%s\n{\n", mark);
	remote_array_begin(s, "NEL_ENVIRONMENT");
	for (size_t i = 0; environment[i] != NULL; i++)
		remote_array_add(s, environment[i]);
	remote_array_end(s);
	remote_set_number(s, "NEL_TIMEOUT_S", call->timeout_ms == 0 ? 0 : wait_s < 1 ? 1 : wait_s);
	remote_set_number(s, "NEL_PAYLOAD_SIZE", (int64_t)call->payload_size);
	if (call->data != NULL)
		str_append(s, call->data);
	append_script(s, "remote_common");
	if (call->asks_mounts || call->looks_into_directories)
		append_script(s, "run_body/09_mounts");
	if (call->takes_fingerprint)
		append_script(s, "remote_fingerprint");
	if (call->chooses_walltime)
		append_script(s, "remote_walltime");
	if (call->looks_into_directories)
		append_script(s, "remote_directories");
	CLEANUP(mem_freep) char *script = mem_printf("remote_%s", call->script);
	append_script(s, script);
	str_appendf(s, "\n}\n#%s", mark);
}

void remote_render(const struct remote_call *call, const char *const *environment,
		   char ret_command[REMOTE_COMMAND_SIZE], char **ret_input, size_t *ret_size)
{
	struct str script = {0};
	char mark[2 * MARK_BYTES + 1];
	make_mark(mark);
	render_script(call, environment, mark, &script);
	size_t mark_size = strlen(COMPLETE_MARK);
	size_t size = script.len + call->payload_size + mark_size;
	char *input = mem_calloc(size + 1, 1);
	memcpy(input, script.data, script.len);
	if (call->payload_size != 0)
		memcpy(input + script.len, call->payload, call->payload_size);
	memcpy(input + size - mark_size, COMPLETE_MARK, mark_size);
	int length = snprintf(ret_command, REMOTE_COMMAND_SIZE, command_form, mark, script.len, script.len, script.len);
	assert(length > 0 && length < REMOTE_COMMAND_SIZE);
	(void)length;
	str_done(&script);
	*ret_input = input;
	*ret_size = size;
}

static int no_answer(const struct ssh_result *result, struct nel_err *err)
{
	char said[SAID_MAX] = "nothing";
	if (result->errors[0] != '\0')
		record_text(result->errors, said, sizeof said);
	else if (result->output[0] != '\0')
		record_text(result->output, said, sizeof said);
	return err_set(
	    err, NEL_REMOTE,
	    "the login node did not run the daemon's script (exit status %d) but said: %s (a ForceCommand, a "
	    "command= in authorized_keys, a login shell that refuses, or no /bin/bash?)",
	    result->exit_status, said);
}

/* An answer of which each record is taken as it comes. */
struct coming {
	const struct remote_call *call;
	struct record_stream stream;
	struct str head; /* of what came before it began */
	size_t size;
};

static void coming_done(struct coming *coming)
{
	str_done(&coming->head);
}

static int take_output(const char *data, size_t size, void *arg)
{
	struct coming *coming = arg;
	size_t room = SAID_MAX - coming->head.len;
	if (!coming->stream.begun)
		str_append_n(&coming->head, data, size < room ? size : room);
	coming->size += size;
	record_stream_feed(&coming->stream, data, size, coming->call->on_record, coming->call->arg);
	return 0;
}

static bool has_begun(const struct remote_call *call, const struct coming *coming, const struct ssh_result *result)
{
	struct records records;
	return call->on_record != NULL ? coming->stream.begun
				       : records_begin(result->output, result->output_size, &records, NULL) == 0;
}

int remote_run(struct ssh_pool *pool, const struct remote_call *call, struct ssh_result *ret_result,
	       struct nel_err *err)
{
	char command[REMOTE_COMMAND_SIZE];
	char *input = NULL;
	size_t size = 0;
	remote_render(call, ssh_pool_environment(pool), command, &input, &size);
	CLEANUP(coming_done) struct coming coming = {.call = call};
	struct ssh_exec exec = {.command = command,
				.input = input,
				.input_size = size,
				.output_max = call->output_max,
				.timeout_ms = call->timeout_ms,
				.on_output = call->on_record != NULL ? take_output : NULL,
				.arg = &coming};
	CLEANUP(ssh_result_done) struct ssh_result result = {0};
	bool sent = false;
	int status = ssh_pool_exec(pool, &exec, &result, &sent, err);
	if (call->ret_sent != NULL)
		*call->ret_sent = sent;
	secret_free(input, size);
	if (status != 0)
		return -1;
	if (call->ret_output_size != NULL)
		*call->ret_output_size = call->on_record != NULL ? coming.size : result.output_size;
	if (!has_begun(call, &coming, &result)) {
		if (call->on_record != NULL) {
			free(result.output);
			result.output = str_take(&coming.head);
		}
		return no_answer(&result, err);
	}
	*ret_result = result;
	result = (struct ssh_result){0};
	return 0;
}
