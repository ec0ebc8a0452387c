/* Internal to db/: the columns of a chain, for whoever reads them with others (columns.h). */
#ifndef NEL_DB_CHAIN_COLUMNS_H
#define NEL_DB_CHAIN_COLUMNS_H

#include "db/columns.h"

/* clang-format off */
/* What a chain is from its beginning. */
#define CHAIN_FIXED(C) \
	C(INT, number, number) \
	C(INT, at_once, at_once) \
	C(INT, walltime_s, walltime_s) \
	C(INT, max_attempts, max_attempts) \
	C(TEXT, resume_mode, resume_mode) \
	C(TEXT, resume_on, resume_on)

/* What chains_update() stores, beside budget_from_attempt, which stands last. */
#define CHAIN_COURSE(C) \
	C(NULL_MINUS_1, budget_limit_s, budget_limit_s) \
	C(INT, budget_used_s, budget_used_s) \
	C(INT, attempt, attempt) \
	C(TEXT, slurm_job_id, slurm_job_id) \
	C(INT, failures, failures) \
	C(INT, not_before, not_before) \
	C(INT, withdrawn, withdrawn)
/* clang-format on */

struct chain_row; /* chains.h */

#define CHAIN_COLUMN_NAME(kind, column, field) "chains." #column ", "
#define CHAIN_COLUMNS \
	CHAIN_FIXED(CHAIN_COLUMN_NAME) CHAIN_COURSE(CHAIN_COLUMN_NAME) "chains.budget_from_attempt, chains.seq"

/* CHAIN_COLUMNS, where q stands. */
void chain_columns_read(struct query *q, struct chain_row *row);

#endif
