/* What a config asks of containers that the cluster's Apptainer cannot do: images, mount flags and options of Pyxis's.
 */
#ifndef NEL_SERVICE_PLAN_CONTAINERS_H
#define NEL_SERVICE_PLAN_CONTAINERS_H

#include "config/plan/eval_plan.h"

/* Calls refused() for each, with its place in the config; never where Pyxis starts the containers. The plan may lack
 * parts. */
void plan_containers_check(const struct eval_plan *plan,
			   void (*refused)(const char *pointer, const char *message, void *arg), void *arg);

/* Calls found() for each image of the plan with its place in the config. */
void plan_containers_images(const struct eval_plan *plan,
			    void (*found)(const char *image, const char *pointer, void *arg), void *arg);

#endif
