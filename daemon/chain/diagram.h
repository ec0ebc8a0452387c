/* The table of transitions as a picture. PURE. */
#ifndef NEL_CHAIN_DIAGRAM_H
#define NEL_CHAIN_DIAGRAM_H

#include "base/str.h"

/* Appends the table as a Mermaid state diagram (mermaid.js.org, stateDiagram-v2): an arrow for each pair of states,
 * with the events that lead from one to the other. Ignored events are not in it. */
void chain_print(struct str *out);

#endif
