/* How much one text may hold, in YAML and in JSON. */
#ifndef NEL_CONFIG_TEXT_LIMITS_H
#define NEL_CONFIG_TEXT_LIMITS_H

#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 100000 /* after aliases are expanded */

#endif
