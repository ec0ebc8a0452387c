/* The state diagram in daemon/README.md is the one that the table prints. */
#include "chain/diagram.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "chain/chain.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define BEGIN "<!-- states: printed by chain_print() -->\n```mermaid\n"
#define END "```\n<!-- end of states -->\n"

static char *read_readme(void)
{
	CLEANUP(file_closep) FILE *file = fopen(NEL_SOURCE_DIR "/daemon/README.md", "re");
	assert_non_null(file);
	struct str text = {0};
	char chunk[4096];
	size_t size;
	while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
		str_append_n(&text, chunk, size);
	return str_take(&text);
}

static void test_chain_print_of_the_table_stands_in_the_readme(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *readme = read_readme();
	CLEANUP(str_done) struct str printed = {0};
	chain_print(&printed);
	const char *begin = strstr(readme, BEGIN);
	assert_non_null(begin);
	begin += strlen(BEGIN);
	const char *end = strstr(begin, END);
	assert_non_null(end);
	CLEANUP(mem_freep) char *block = mem_strndup(begin, (size_t)(end - begin));
	assert_string_equal(block, str_text(&printed));
}

static void test_chain_print_names_every_state_and_event(void **state)
{
	(void)state;
	CLEANUP(str_done) struct str printed = {0};
	chain_print(&printed);
	for (int s = 0; s < CHAIN_STATE_COUNT; s++)
		assert_non_null(strstr(str_text(&printed), chain_state_name((enum chain_state)s)));
	for (int e = 0; e < CHAIN_EVENT_COUNT; e++)
		assert_non_null(strstr(str_text(&printed), chain_event_name((enum chain_event)e)));
	assert_non_null(strstr(str_text(&printed), "    running --> cancelling: cancel asked\n"));
	assert_null(strstr(str_text(&printed), "succeeded -->"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_chain_print_of_the_table_stands_in_the_readme),
	    cmocka_unit_test(test_chain_print_names_every_state_and_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
