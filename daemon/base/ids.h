/* Identifiers: evaluations, jobs, chains, tokens, requests. */
#ifndef NEL_BASE_IDS_H
#define NEL_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>

#define IDS_EVALUATION_SIZE 17 /* 16 lower-case hex digits and a NUL */
#define IDS_JOB_SIZE 24        /* "<evaluation>.<index>" and a NUL; index up to 99999 */
#define IDS_CHAIN_SIZE 25      /* "<evaluation>.c<number>" and a NUL */
#define IDS_TOKEN_SIZE 48      /* "nel_", 43 base62 digits of 32 random bytes, and a NUL */
#define IDS_CODE_SIZE 44       /* 43 base62 digits of 32 random bytes, and a NUL */
#define IDS_REQUEST_SIZE 17
#define IDS_JOB_INDEX_MAX 99999

void ids_new_evaluation(char ret_id[IDS_EVALUATION_SIZE]);
void ids_new_request(char ret_id[IDS_REQUEST_SIZE]);
bool ids_is_evaluation(const char *text);

/* Splits "<evaluation>.<index>"; false when text has another shape (leading zeros count as another). */
bool ids_parse_job(const char *text, char ret_evaluation[IDS_EVALUATION_SIZE], int *ret_index);
void ids_format_job(const char *evaluation, int index, char ret_id[IDS_JOB_SIZE]);
/* number: not negative, at most IDS_JOB_INDEX_MAX. */
void ids_format_chain(const char *evaluation, int number, char ret_id[IDS_CHAIN_SIZE]);

/* A new bearer token: a secret, to be shown once and stored only as a hash. */
void ids_new_token(char ret_token[IDS_TOKEN_SIZE]);

/* A new code for something that is done once: a secret, too, and no bearer token. */
void ids_new_code(char ret_code[IDS_CODE_SIZE]);

#endif
