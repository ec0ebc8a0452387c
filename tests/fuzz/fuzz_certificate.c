/* What people bring to log in with: a certificate's line (ssh/certificate), and a private key (ssh/key_file). The
 * input's parts are the line, the key, and a certificate in bytes. */
#include "fuzz.h"
#include "ssh/certificate.h"
#include "ssh/key_file.h"

static void check_texts(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		FUZZ_CHECK(text != NULL && !str_has_control(text) && fuzz_is_utf8(text));
	}
}

static void check_certificate(const struct certificate *c, const char *key)
{
	struct nel_err err = {0};
	CLEANUP(certificate_done) struct certificate again = {0};
	FUZZ_CHECK(!str_has_control(c->key_id) && fuzz_is_utf8(c->key_id));
	FUZZ_CHECK(!str_has_control(c->line) && fuzz_is_utf8(c->line));
	FUZZ_CHECK(c->valid_after >= 0 && c->expires_at >= 0);
	FUZZ_CHECK(strlen(c->id) == CERTIFICATE_ID_SIZE - 1);
	check_texts(c->principals);
	check_texts(c->warnings);
	certificate_names(c, "svc");
	if (certificate_check_time(c, "it", 1700000000, &err) != 0)
		fuzz_check_error(&err, NEL_DENIED);
	if (certificate_check_key(c, "it", key, "that", &err) != 0)
		fuzz_check_error(&err, NEL_DENIED);
	/* Its line is the same certificate. */
	FUZZ_CHECK(certificate_parse(c->line, "it", &again, &err) == 0);
	FUZZ_CHECK(strcmp(again.id, c->id) == 0 && strcmp(again.line, c->line) == 0);
	FUZZ_CHECK(again.key_size == c->key_size && memcmp(again.key, c->key, c->key_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nel_err err = {0};
	CLEANUP(fuzz_parts_done) struct fuzz_parts parts = fuzz_split(data, size);
	const char *key = parts.count > 1 ? parts.texts[1] : "";
	size_t half_size = 0;
	CLEANUP(mem_freep) unsigned char *half = key_file_public_half(key, &half_size);
	CLEANUP(certificate_done) struct certificate from_line = {0}, from_bytes = {0};
	if (key_file_check(key, "the key", &err) != 0)
		fuzz_check_error(&err, NEL_DENIED);
	if (certificate_parse(parts.texts[0], "it", &from_line, &err) == 0)
		check_certificate(&from_line, key);
	else
		fuzz_check_error(&err, NEL_DENIED);
	if (parts.count < 3)
		return 0;
	if (certificate_read((struct blob){(const unsigned char *)parts.texts[2], parts.sizes[2]}, "it", &from_bytes,
			     &err) == 0)
		check_certificate(&from_bytes, key);
	else
		fuzz_check_error(&err, NEL_DENIED);
	return 0;
}
