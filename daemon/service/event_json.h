/* An event as clients and webhooks get it (openapi.yaml's schema Event). Any thread. */
#ifndef NEL_SERVICE_EVENT_JSON_H
#define NEL_SERVICE_EVENT_JSON_H

#include "db/events.h"

/* {"seq","at","kind","user","evaluation","job","data"}, on one line; free(). */
char *event_json(const struct event_row *row);

#endif
