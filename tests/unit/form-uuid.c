/* form: names as UUIDs. */
#include "form/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* By Python: uuid.uuid5(uuid.UUID("3c5f0b6e-9241-4d0a-8b57-61e09d2c7418"), name). */
static void is_version_5(void **state)
{
	(void)state;
	assert_string_equal(uuid_of("", 0).s, "93f464b9-7a10-5e05-9b9a-4f0f8b944ee5");
	assert_string_equal(uuid_of("a name", 6).s, "f11d0659-c09e-5448-b2fe-fa62127c5321");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_version_5)};

	return cmocka_run_group_tests_name("form-uuid", tests, NULL, NULL);
}
