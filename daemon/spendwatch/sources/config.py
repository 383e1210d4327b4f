"""The settings of every type of source, as one union by `type`: a new type is added here."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from spendwatch.fields import ByKey
from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.url.settings import UrlConfig

SourceConfig: TypeAlias = Annotated[FolderConfig | UrlConfig | AlibabaConfig | OssConfig, ByKey("type")]

__all__ = ["AlibabaConfig", "FolderConfig", "OssConfig", "SourceConfig", "UrlConfig"]
