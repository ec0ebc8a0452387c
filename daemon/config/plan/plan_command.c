/* The command line of an auxiliary deployment: its own command, its command_template with values put in, or the
 * launcher's vLLM command. */
#include "config/plan/plan_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "config/text/value_grammar.h"

#include <string.h>

#define COMMAND_MAX 65536 /* bytes, after values are put in */

/* A scalar as a template shows it. */
static char *scalar_text(const json_t *value)
{
	bool scalar = json_is_string(value) || json_is_boolean(value) || json_is_number(value);
	return scalar ? value_to_text(value) : NULL;
}

/* Puts one {key} in; false when there is no such scalar. */
static bool append_key(struct str *out, const json_t *config, const char *key)
{
	CLEANUP(mem_freep) char *text = scalar_text(reader_get(config, key));
	if (text == NULL)
		return false;
	str_append(out, text);
	return true;
}

/* Python's str.format with plain {key} fields and {{ }} for braces, which is what the launcher's templates use. */
static bool fill_template(const struct reader *r, const char *pointer, const json_t *config, const char *template,
			  struct str *out)
{
	for (const char *p = template; *p != '\0'; p++) {
		if (*p != '{' && *p != '}') {
			str_append_c(out, *p);
			continue;
		}
		if (p[1] == *p) {
			str_append_c(out, *p++);
			continue;
		}
		size_t size = strcspn(p + 1, "}");
		CLEANUP(mem_freep) char *key = mem_strndup(p + 1, size);
		if (*p == '}' || p[1 + size] != '}') {
			reader_error(r, pointer, "A single '%c' in command_template; write it twice to mean itself",
				     *p);
			return false;
		}
		if (!append_key(out, config, key)) {
			reader_error(r, pointer, "command_template names {%s}, which is not set beside it", key);
			return false;
		}
		if (out->len > COMMAND_MAX) {
			reader_error(r, pointer, "command_template gives more than %d bytes", COMMAND_MAX);
			return false;
		}
		p += 1 + size;
	}
	return true;
}

static void append_option(struct str *out, const json_t *config, const char *key, const char *option)
{
	CLEANUP(mem_freep) char *text = scalar_text(reader_get(config, key));
	if (text == NULL)
		return;
	str_appendf(out, " --%s=", option);
	str_append_shell(out, text);
}

static void append_vllm(struct str *out, const json_t *config)
{
	CLEANUP(mem_freep) char *model = scalar_text(reader_get(config, "hf_model_handle"));
	CLEANUP(mem_freep) char *extra = scalar_text(reader_get(config, "extra_args"));
	str_append(out, "vllm serve ");
	str_append_shell(out, model == NULL ? "/checkpoint" : model);
	append_option(out, config, "tensor_parallel_size", "tensor-parallel-size");
	append_option(out, config, "pipeline_parallel_size", "pipeline-parallel-size");
	append_option(out, config, "data_parallel_size", "data-parallel-size");
	append_option(out, config, "port", "port");
	append_option(out, config, "served_model_name", "served-model-name");
	append_option(out, config, "gpu_memory_utilization", "gpu-memory-utilization");
	if (extra != NULL && *extra != '\0')
		str_appendf(out, " %s", extra);
}

/* A NIM's image starts its server by itself. */
static bool is_nim(const json_t *config)
{
	const char *type = json_string_value(json_object_get(config, "type"));
	return type != NULL && strcmp(type, "nim") == 0;
}

bool plan_auxiliary_is_vllm(const json_t *config)
{
	return reader_is_falsy(reader_get(config, "command")) &&
	       reader_is_falsy(reader_get(config, "command_template")) && !is_nim(config);
}

/* Absent, null or "": what is wrong, or ???, is told of elsewhere. */
static bool is_unsaid(const json_t *config, const char *key)
{
	const json_t *value = json_object_get(config, key);
	return value == NULL || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

void plan_need_command(const struct reader *r, const json_t *config, const char *base)
{
	CLEANUP(mem_freep) char *pointer = reader_join(base, "command");
	if (!r->incomplete && json_is_object(config) && is_unsaid(config, "command") &&
	    is_unsaid(config, "command_template"))
		reader_error(r, pointer,
			     "There is no command: an image's entrypoint is not run by itself, so name what starts "
			     "the server");
}

char *plan_auxiliary_command(const struct plan_ctx *ctx, const json_t *config, const char *base)
{
	const struct reader *r = &ctx->reader;
	struct str out = {0};
	CLEANUP(mem_freep) char *command = reader_text(r, config, base, "command", READER_ANY);
	if (command != NULL && *command != '\0')
		return TAKE(command);
	CLEANUP(mem_freep) char *template = reader_text(r, config, base, "command_template", READER_ANY);
	CLEANUP(mem_freep) char *pointer = reader_join(base, "command_template");
	if (template == NULL || *template == '\0') {
		if (!is_nim(config))
			append_vllm(&out, config);
		else
			plan_need_command(r, config, base);
		return str_take(&out);
	}
	if (fill_template(r, pointer, config, template, &out))
		return str_take(&out);
	str_done(&out);
	return NULL;
}
