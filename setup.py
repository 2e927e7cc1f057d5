"""Install the folder `baselines` as `jointwrist_baselines`; pyproject.toml says all the rest, and cannot say this."""

from setuptools import find_packages, setup

FOLDER, NAME = "baselines", "jointwrist_baselines"
PARTS = [f"{NAME}.{part}" for part in find_packages(FOLDER)]

setup(packages=[*find_packages(include=["jointwrist*"]), NAME, *PARTS], package_dir={NAME: FOLDER})
