/* What of a stored evaluation's resolved config nobody wrote. */
#ifndef NEL_SERVICE_DEFAULTED_H
#define NEL_SERVICE_DEFAULTED_H

#include "db/evaluations.h"

/* {"items": [pointers]} (config/compose/defaulted.h), as JSON text; of a row with its texts. free()d by the caller. */
char *service_defaulted(const struct evaluation_row *row);

#endif
