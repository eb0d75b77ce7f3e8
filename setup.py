"""Finds the packages of both source roots; setup.cfg says everything else."""

from setuptools import find_packages, setup

ROOTS = ("tracker", "models")

setup(
    package_dir={
        package: f"{root}/{package}"
        for root in ROOTS
        for package in find_packages(root)
        if "." not in package
    },
    packages=[package for root in ROOTS for package in find_packages(root)],
)
