"""Builds the compiled kernels; without a compiler everything else is installed all the same."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "analyzer.kernels", ["analyzer/kernels.pyx"], extra_compile_args=["-O3"], optional=True
        )
    ]
)
