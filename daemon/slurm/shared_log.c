#include "slurm/shared_log.h"

#include "base/mem.h"

#include <stddef.h>
#include <string.h>

#define CHAINS "shared-"

/* An auxiliary may have any name, so the Slurm id behind it counts: "client-server-7-0.log" is of one called client. */
static bool is_own(const char *name)
{
	static const char *const kinds[] = {"client-", "slurm-", "export-"};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i]);
		if (strncmp(name, kinds[i], length) == 0 && name[length] >= '0' && name[length] <= '9')
			return true;
	}
	return false;
}

static bool is_marked(const char *shown)
{
	return strncmp(shown, CHAINS, strlen(CHAINS)) == 0 && is_own(shown + strlen(CHAINS));
}

bool shared_log_is_chains(const char *shown)
{
	return !is_own(shown);
}

const char *shared_log_file(const char *shown)
{
	return is_marked(shown) ? shown + strlen(CHAINS) : shown;
}

char *shared_log_shown(const char *file)
{
	return is_own(file) ? mem_printf(CHAINS "%s", file) : mem_strdup(file);
}
