"""The settings of every kind of source, joined into one union by `type`: the place where a new kind is added."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.url.settings import UrlConfig

SourceConfig: TypeAlias = Annotated[FolderConfig | UrlConfig | AlibabaConfig | OssConfig, Field(discriminator="type")]

__all__ = ["AlibabaConfig", "FolderConfig", "OssConfig", "SourceConfig", "UrlConfig"]
