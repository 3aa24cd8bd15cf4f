"""The requirement files have wheels for every kind of machine: uv resolves them for all, from here."""

import subprocess
import sys
import tomllib
from urllib.parse import unquote, urlsplit

import pytest
from packaging import tags
from packaging.utils import parse_wheel_filename

from kit.classroom.gather import PYTHONS
from kit.environment import FULL, LIGHT, text_of

GLIBC = [f"manylinux_2_{minor}" for minor in range(31, 4, -1)] + [
    "manylinux2014",
    "manylinux2010",
    "manylinux1",
]
MACHINES = {  # name: platform for uv, platforms of wheels, has torch
    "Windows": ("x86_64-pc-windows-msvc", ["win_amd64"], True),
    "macOS": ("aarch64-apple-darwin", [*tags.mac_platforms((14, 0), "arm64")], True),
    "Linux": ("x86_64-manylinux_2_31", [f"{glibc}_x86_64" for glibc in GLIBC], True),
    "Linux on ARM": ("aarch64-manylinux_2_31", [f"{glibc}_aarch64" for glibc in GLIBC], True),
    "Intel Mac": ("x86_64-apple-darwin", [*tags.mac_platforms((14, 0), "x86_64")], False),
    "musl": ("x86_64-unknown-linux-musl", [f"musllinux_1_{minor}_x86_64" for minor in (2, 1, 0)], False),
}
CASES = [
    pytest.param(file, name, python, id=f"{'light' if file == LIGHT else 'full'} {name} {python}")
    for file in (FULL, LIGHT)
    for name, (_, _, has_torch) in MACHINES.items()
    if has_torch or file == LIGHT
    for python in PYTHONS
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name", "python"), CASES)
def test_each_package_has_a_wheel(file, name, python, monkeypatch):
    monkeypatch.setenv("MACOSX_DEPLOYMENT_TARGET", "14.0")
    platform, platforms, _ = MACHINES[name]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format", "pylock.toml", "-"]
    command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
    lines = [line for line in text_of(file).splitlines() if not line.startswith("-e")]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    version = tuple(map(int, python.split(".")))
    fitting = {
        *tags.cpython_tags(version, platforms=platforms),
        *tags.compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
    }
    packages = tomllib.loads(done.stdout)["packages"]
    assert any(package["name"] == "torch" for package in packages) == (file == FULL)
    for package in packages:
        names = [unquote(urlsplit(wheel["url"]).path).rpartition("/")[2] for wheel in package["wheels"]]
        assert any(parse_wheel_filename(wheel)[3] & fitting for wheel in names), names
