"""Writes `kafka.lock.toml` anew: `python -m services.bus.embedded.relock`. For a change of Kafka's version; never run by users.

jgo resolves the coordinates with all they need at run time, downloads each jar and records its SHA-256. The lock holds no
address: where jars come from is jgo's and the user's affair, what they must be is ours.
"""

from pathlib import Path

from jgo.config import GlobalSettings
from jgo.env import LockFile
from jgo.maven import MavenContext

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"  # from slf4j 1.7; Kafka's pom leaves the binding to us
LOCK = Path(__file__).with_name("kafka.lock.toml")


def relock() -> LockFile:
    """Resolve, download, hash. Minutes on a cold cache; raises what jgo raises."""
    context = MavenContext(repo_cache=GlobalSettings.load().repo_cache, timeout=60)
    inputs, transitive = context.resolver.resolve([context.create_dependency(KAFKA)])
    # Resolved apart and alone: together, log4j's managed versions would replace those that Kafka was released with.
    logging, _ = context.resolver.resolve([context.create_dependency(LOGGING)], transitive=False)
    needed = [*inputs, *(dep for dep in transitive if dep.scope in ("compile", "runtime")), *logging]
    needed.sort(key=lambda dep: (dep.groupId, dep.artifactId))
    return LockFile.from_resolved_dependencies(needed, environment_name="kafka", min_java_version=17)


if __name__ == "__main__":
    lock = relock()
    lock.save(LOCK)
    print(f"{LOCK.name}: {len(lock.dependencies)} jars")
