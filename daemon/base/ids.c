#include "base/ids.h"

#include "base/str.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void random_hex16(char *out)
{
	unsigned char bytes[8];
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(out, 17, bytes, sizeof bytes);
}

void ids_new_evaluation(char ret_id[IDS_EVALUATION_SIZE])
{
	random_hex16(ret_id);
}

void ids_new_request(char ret_id[IDS_REQUEST_SIZE])
{
	random_hex16(ret_id);
}

bool ids_is_evaluation(const char *text)
{
	return strlen(text) == IDS_EVALUATION_SIZE - 1 && strspn(text, "0123456789abcdef") == IDS_EVALUATION_SIZE - 1;
}

bool ids_parse_job(const char *text, char ret_evaluation[IDS_EVALUATION_SIZE], int *ret_index)
{
	if (strlen(text) < IDS_EVALUATION_SIZE + 1 || text[IDS_EVALUATION_SIZE - 1] != '.')
		return false;
	char evaluation[IDS_EVALUATION_SIZE];
	memcpy(evaluation, text, IDS_EVALUATION_SIZE - 1);
	evaluation[IDS_EVALUATION_SIZE - 1] = '\0';
	const char *digits = text + IDS_EVALUATION_SIZE;
	long long index = 0;
	if (!ids_is_evaluation(evaluation) || !str_to_int(digits, 0, IDS_JOB_INDEX_MAX, &index) ||
	    (digits[0] == '0' && digits[1] != '\0') || digits[0] == '-')
		return false;
	memcpy(ret_evaluation, evaluation, sizeof evaluation);
	*ret_index = (int)index;
	return true;
}

void ids_format_job(const char *evaluation, int index, char ret_id[IDS_JOB_SIZE])
{
	snprintf(ret_id, IDS_JOB_SIZE, "%s.%d", evaluation, index);
}

void ids_format_chain(const char *evaluation, int number, char ret_id[IDS_CHAIN_SIZE])
{
	snprintf(ret_id, IDS_CHAIN_SIZE, "%s.c%d", evaluation, number);
}

/* Base 62 of a 256-bit number: always 43 digits, most significant first. */
void ids_new_code(char ret_code[IDS_CODE_SIZE])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char number[32];
	randombytes_buf(number, sizeof number);
	for (int i = 42; i >= 0; i--) {
		unsigned remainder = 0;
		for (size_t b = 0; b < sizeof number; b++) {
			unsigned value = remainder << 8 | number[b];
			number[b] = (unsigned char)(value / 62);
			remainder = value % 62;
		}
		ret_code[i] = digits[remainder];
	}
	ret_code[43] = '\0';
	sodium_memzero(number, sizeof number);
}

void ids_new_token(char ret_token[IDS_TOKEN_SIZE])
{
	memcpy(ret_token, "nel_", 4);
	ids_new_code(ret_token + 4);
}
