"""MQTT: topics and payloads (pure), the link to a broker, and an embedded broker."""
