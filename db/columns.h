/* Internal to db/: the columns of a wide table, listed once. A list is a macro that has C(kind, column, field) for
 * each; those below make of it the names for a SELECT, an INSERT or an UPDATE, each with ", " behind, and the code that
 * binds or reads them in the same order, with `q` and `row` in scope. Kinds: TEXT (owned, may be NULL), NAME (an array
 * of characters), INT, and numbers that are null in the store: NULL_0 for 0, NULL_MINUS_1 for -1. */
#ifndef NEL_DB_COLUMNS_H
#define NEL_DB_COLUMNS_H

#include "db/statement.h"

#define COLUMN_NAME(kind, column, field) #column ", "
#define COLUMN_MARK(kind, column, field) "?, "
#define COLUMN_SET(kind, column, field) #column " = ?, "

#define COLUMN_READ(kind, column, field) COLUMN_READ_##kind(field)
#define COLUMN_READ_TEXT(field) row->field = query_text(q);
#define COLUMN_READ_NAME(field) query_text_into(q, row->field, sizeof row->field);
#define COLUMN_READ_INT(field) row->field = query_int(q);
#define COLUMN_READ_NULL_0(field) row->field = query_int(q);
#define COLUMN_READ_NULL_MINUS_1(field) row->field = query_int_or(q, -1);

#define COLUMN_BIND(kind, column, field) COLUMN_BIND_##kind(field)
#define COLUMN_BIND_TEXT(field) query_bind_text(q, row->field);
#define COLUMN_BIND_NAME(field) query_bind_text(q, row->field);
#define COLUMN_BIND_INT(field) query_bind_int(q, row->field);
#define COLUMN_BIND_NULL_0(field) query_bind_int_or_null(q, row->field, 0);
#define COLUMN_BIND_NULL_MINUS_1(field) query_bind_int_or_null(q, row->field, -1);

#define COLUMN_FREE(kind, column, field) COLUMN_FREE_##kind(field)
#define COLUMN_FREE_TEXT(field) free(row->field);
#define COLUMN_FREE_NAME(field)
#define COLUMN_FREE_INT(field)
#define COLUMN_FREE_NULL_0(field)
#define COLUMN_FREE_NULL_MINUS_1(field)

#endif
