#include "cluster_keys.h"

#include "base/secret.h"
#include "ssh/key_file.h"

#include <unistd.h>

int cluster_keys_check(const struct settings *settings, struct nel_err *err)
{
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct settings_cluster *cluster = &settings->clusters[i];
		char *text = NULL;
		size_t size = 0;
		if (cluster->key_file == NULL || access(cluster->key_file, F_OK) != 0)
			continue;
		if (key_file_load(cluster->key_file, &text, &size, err) != 0)
			return err_prefix(err, "cluster %s", cluster->name);
		secret_free(text, size);
	}
	return 0;
}
