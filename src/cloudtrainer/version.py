"""The version of the package, read by the build as well."""

__version__ = "4.0.0"
