"""Which version of MQTT to speak next, where that is left to us."""

from __future__ import annotations

from privface_backend.mqtt.connection import ConnectError, FailureKind
from privface_backend.mqtt.settings import MqttProtocol


class VersionChoice:
    """The version for the next attempt: MQTT 5 first, and 3.1.1 where the broker doesn't speak it."""

    def __init__(self, wanted: MqttProtocol) -> None:
        self._fixed = wanted is not MqttProtocol.AUTO
        self._answered = False
        self.version = wanted if self._fixed else MqttProtocol.V5

    def connected(self) -> None:
        """The broker let us in with this version."""
        self._answered = True

    def fall_back(self, error: ConnectError) -> bool:
        """Choose after a failure; True: make the next attempt at once."""
        if self._fixed:
            return False
        if error.kind is FailureKind.VERSION and self.version is MqttProtocol.V5:
            self.version = MqttProtocol.V311
            return True
        if error.kind is FailureKind.SILENT and not self._answered:
            # Brokers from before MQTT 5 may hang up, or wait for more, where they should refuse.
            self.version = MqttProtocol.V311 if self.version is MqttProtocol.V5 else MqttProtocol.V5
        return False
