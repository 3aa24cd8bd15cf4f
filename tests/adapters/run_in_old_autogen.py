"""Run the scenarios under Microsoft's AutoGen 0.2, in its own environment.

    python run_in_old_autogen.py FOLDER_OF_A_MODEL

The last line it prints is JSON: the versions, and for each scenario null or how it failed.
"""

import json
import sys
import tempfile
import traceback
from pathlib import Path

import drive_classic
import scenarios
from frameworks import versions

results = {}
for name, check in scenarios.SCENARIOS.items():
    if check.needs in drive_classic.LACKS:
        continue
    with tempfile.TemporaryDirectory() as folder:
        things = {"folder": Path(folder), "local_model_folder": sys.argv[1]}
        wanted = check.__code__.co_varnames[1 : check.__code__.co_argcount]
        try:
            scenarios.run(check, drive_classic, **{thing: things[thing] for thing in wanted})
            results[name] = None
        except BaseException:
            results[name] = traceback.format_exc()
print(json.dumps({"versions": versions(["autogen-agentchat"]), "results": results}))
