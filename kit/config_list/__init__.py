"""OAI_CONFIG_LIST: what is in it, what is wrong with it, and where its keys are."""

from kit.config_list.lists import (
    ConfigListError,
    check_config_list,
    load_config_list,
    parse_config_list,
    save_config_list,
)

__all__ = [
    "ConfigListError",
    "check_config_list",
    "load_config_list",
    "parse_config_list",
    "save_config_list",
]
