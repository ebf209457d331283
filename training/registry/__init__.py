"""The registry: bundles by name and version in a store, which one serves, and which one would like to.

store/models/<name>/<version>/      versions 0001, 0002, …; a version never changes once it is there
store/models/<name>/aliases.json    champion, challenger and how they came to be that, replaced atomically

aliases    the file
bundles    versions: registering, listing, loading
judging    two bundles on the same customers
promotion  who becomes champion
"""

from training.registry.aliases import ALIASES_FILE, Aliases, Change
from training.registry.bundles import (
    CHALLENGER,
    CHAMPION,
    DEFAULT_NAME,
    MODELS_FOLDER,
    BundleInfo,
    Decision,
    aliases_of,
    champion,
    check_can_register,
    check_name,
    find_version,
    list_bundles,
    read_card,
    register,
    version_folders,
)
from training.registry.judging import Verdict, judge_held_out, judge_newest
from training.registry.promotion import Promotion, Registration, promote, register_judged, rollback

__all__ = [
    "ALIASES_FILE",
    "CHALLENGER",
    "CHAMPION",
    "DEFAULT_NAME",
    "MODELS_FOLDER",
    "Aliases",
    "BundleInfo",
    "Change",
    "Decision",
    "Promotion",
    "Registration",
    "Verdict",
    "aliases_of",
    "champion",
    "check_can_register",
    "check_name",
    "find_version",
    "judge_held_out",
    "judge_newest",
    "list_bundles",
    "promote",
    "read_card",
    "register",
    "register_judged",
    "rollback",
    "version_folders",
]
