"""The settings of every type of source, as one union by `type`: a new type is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from spendwatch.fields import ByKey

SOURCES = ByKey(
    "type",
    {
        "folder": "spendwatch.sources.folder.settings:FolderConfig",
        "url": "spendwatch.sources.url.settings:UrlConfig",
        "alibaba": "spendwatch.sources.alibaba.settings:AlibabaConfig",
        "oss": "spendwatch.sources.oss.settings:OssConfig",
    },
)
"""The settings of each type; `SourceConfig` lists the same for the type checker."""

if TYPE_CHECKING:
    from spendwatch.sources.alibaba.settings import AlibabaConfig
    from spendwatch.sources.folder.settings import FolderConfig
    from spendwatch.sources.oss.settings import OssConfig
    from spendwatch.sources.url.settings import UrlConfig

    SourceConfig: TypeAlias = FolderConfig | UrlConfig | AlibabaConfig | OssConfig
else:
    SourceConfig = Annotated[object, SOURCES]
