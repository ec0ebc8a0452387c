#include "chain/diagram.h"

#include "chain/chain.h"

/* The arrow between two states, if there is one. */
static void print_arrow(enum chain_state from, enum chain_state to, struct str *out)
{
	int count = 0;
	for (int e = 0; e < CHAIN_EVENT_COUNT; e++) {
		const struct chain_rule *rule = chain_rule_for(from, (enum chain_event)e);
		if (rule->ignored || rule->to != to)
			continue;
		if (count++ == 0)
			str_appendf(out, "    %s --> %s: ", chain_state_name(from), chain_state_name(to));
		else
			str_append(out, " / ");
		str_append(out, chain_event_name((enum chain_event)e));
	}
	if (count > 0)
		str_append_c(out, '\n');
}

void chain_print(struct str *out)
{
	str_appendf(out, "stateDiagram-v2\n    [*] --> %s\n", chain_state_name(CHAIN_QUEUED));
	for (int from = 0; from < CHAIN_STATE_COUNT; from++)
		for (int to = 0; to < CHAIN_STATE_COUNT; to++)
			print_arrow((enum chain_state)from, (enum chain_state)to, out);
}
