#include "form/yaml.h"
