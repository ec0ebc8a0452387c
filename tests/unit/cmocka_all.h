/* cmocka with the headers that it wants before itself. */
#ifndef NEL_TESTS_CMOCKA_ALL_H
#define NEL_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
