/* Owns the list of entries: one for each shared account that has a certificate. */
#include "remote/credentials.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ssh/key_file.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

struct entry {
	struct entry *next;
	struct ssh_credentials *credentials;
};

struct credentials_book {
	pthread_mutex_t lock; /* of the list; entries have their own */
	struct entry *first;
};

struct credentials_book *credentials_book_new(void)
{
	struct credentials_book *book = mem_calloc(1, sizeof *book);
	pthread_mutex_init(&book->lock, NULL);
	return book;
}

void credentials_book_free(struct credentials_book *book)
{
	if (book == NULL)
		return;
	for (struct entry *entry = book->first, *next; entry != NULL; entry = next) {
		next = entry->next;
		ssh_credentials_free(entry->credentials);
		free(entry);
	}
	pthread_mutex_destroy(&book->lock);
	free(book);
}

static void report(const struct ssh_credentials_options *options, const struct nel_err *err, int64_t expires_at)
{
	char at[CLOCK_RFC3339_SIZE];
	if (err != NULL)
		log_warning("credential_command gave nothing of use", LOG_S("cluster", options->cluster),
			    LOG_S("error", err->msg));
	else
		log_info("credentials handed out", LOG_S("cluster", options->cluster),
			 LOG_S("identity", options->username),
			 LOG_S("expires", expires_at != 0 ? clock_rfc3339(expires_at, at) : "never"));
}

static struct ssh_credentials_options options_of(const struct settings_cluster *cluster)
{
	return (struct ssh_credentials_options){.cluster = cluster->name,
						.hostname = cluster->hostname,
						.username = cluster->username,
						.command = (const char *const *)cluster->credential_command,
						.timeout_ms = cluster->credential_timeout_s * 1000,
						.certificate_file = cluster->certificate_file,
						.report = report};
}

struct ssh_credentials *credentials_book_get(struct credentials_book *book, const struct settings_cluster *cluster)
{
	if (cluster->credential_command == NULL && cluster->certificate_file == NULL)
		return NULL;
	const struct ssh_credentials_options options = options_of(cluster);
	pthread_mutex_lock(&book->lock);
	struct entry *entry = book->first;
	while (entry != NULL && !ssh_credentials_match(entry->credentials, &options))
		entry = entry->next;
	if (entry == NULL) {
		entry = mem_calloc(1, sizeof *entry);
		entry->credentials = ssh_credentials_new(&options);
		entry->next = book->first;
		book->first = entry;
	}
	pthread_mutex_unlock(&book->lock);
	return entry->credentials;
}

static bool is_named(const struct settings *settings, const struct ssh_credentials *credentials)
{
	for (size_t i = 0; i < settings->cluster_count; i++) {
		const struct ssh_credentials_options options = options_of(&settings->clusters[i]);
		if (!settings->clusters[i].identity_per_user && ssh_credentials_match(credentials, &options))
			return true;
	}
	return false;
}

void credentials_book_adopt(struct credentials_book *book, const struct settings *settings)
{
	for (size_t i = 0; i < settings->cluster_count; i++)
		credentials_book_get(book, &settings->clusters[i]);
	pthread_mutex_lock(&book->lock);
	for (struct entry *entry = book->first; entry != NULL; entry = entry->next)
		if (!is_named(settings, entry->credentials))
			ssh_credentials_drop(entry->credentials);
	pthread_mutex_unlock(&book->lock);
}

/* The list only grows, at its head. */
static struct entry *first_of(struct credentials_book *book)
{
	pthread_mutex_lock(&book->lock);
	struct entry *first = book->first;
	pthread_mutex_unlock(&book->lock);
	return first;
}

void credentials_book_look(struct credentials_book *book)
{
	for (struct entry *entry = first_of(book); entry != NULL; entry = entry->next)
		ssh_credentials_look(entry->credentials);
}

struct ssh_credentials *credentials_book_next(struct credentials_book *book, int64_t *ret_in_ms)
{
	struct ssh_credentials *soonest = NULL;
	*ret_in_ms = INT64_MAX;
	for (struct entry *entry = first_of(book); entry != NULL; entry = entry->next) {
		int64_t in_ms = ssh_credentials_due_in_ms(entry->credentials);
		if (in_ms < *ret_in_ms) {
			*ret_in_ms = in_ms;
			soonest = entry->credentials;
		}
	}
	return soonest;
}

int credentials_try_command(const struct settings_cluster *cluster, struct certificate *ret_certificate,
			    struct nel_err *err)
{
	const struct credential_order order = {.argv = (const char *const *)cluster->credential_command,
					       .cluster = cluster->name,
					       .hostname = cluster->hostname,
					       .username = cluster->username,
					       .timeout_ms = cluster->credential_timeout_s * 1000};
	CLEANUP(credential_done) struct credential given = {0};
	if (credential_command_run(&order, &given, err) != 0)
		return -1;
	*ret_certificate = given.certificate;
	given.certificate = (struct certificate){0};
	return 0;
}

static int check_pair(const struct settings_cluster *cluster, const struct certificate *certificate, const char *name,
		      struct nel_err *err)
{
	char *key = NULL;
	size_t size = 0;
	if (cluster->key_file == NULL)
		return 0;
	if (key_file_load(cluster->key_file, &key, &size, err) != 0)
		return -1;
	int rc = certificate_check_key(certificate, name, key, cluster->key_file, err);
	secret_free(key, size);
	return rc;
}

int credentials_read_file(const struct settings_cluster *cluster, struct certificate *ret_certificate,
			  struct nel_err *err)
{
	CLEANUP(certificate_done) struct certificate certificate = {0};
	CLEANUP(mem_freep) char *name = mem_printf("the certificate %s", cluster->certificate_file);
	if (certificate_load(cluster->certificate_file, &certificate, err) != 0 ||
	    certificate_check_time(&certificate, name, clock_now_s(), err) != 0 ||
	    check_pair(cluster, &certificate, name, err) != 0)
		return -1;
	*ret_certificate = certificate;
	certificate = (struct certificate){0};
	return 0;
}

int credentials_check_person(const char *line, const char *private_key, struct certificate *ret_certificate,
			     struct nel_err *err)
{
	CLEANUP(certificate_done) struct certificate certificate = {0};
	if (certificate_parse(line, "the certificate", &certificate, err) != 0 ||
	    certificate_check_time(&certificate, "the certificate", clock_now_s(), err) != 0 ||
	    (private_key != NULL &&
	     certificate_check_key(&certificate, "the certificate", private_key, "that this identity has", err) != 0))
		return -1;
	*ret_certificate = certificate;
	certificate = (struct certificate){0};
	return 0;
}

int credentials_check_key(const char *private_key, char **ret_public, struct nel_err *err)
{
	size_t size = 0;
	if (key_file_check(private_key, "the private key", err) != 0)
		return -1;
	CLEANUP(mem_freep) unsigned char *half = key_file_public_half(private_key, &size);
	struct blob rest = {half, size}, type;
	if (half == NULL || !blob_take_string(&rest, &type))
		return err_set(err, NEL_DENIED,
			       "the private key is not in OpenSSH's format: `ssh-keygen -p -f KEY` writes it so");
	CLEANUP(mem_freep) char *base64 = mem_calloc(sodium_base64_encoded_len(size, 1), 1);
	sodium_bin2base64(base64, sodium_base64_encoded_len(size, 1), half, size, sodium_base64_VARIANT_ORIGINAL);
	*ret_public = mem_printf("%.*s %s", (int)type.size, (const char *)type.data, base64);
	return 0;
}
