package dev.rowseal.bench;

import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Writes every change of a slot as a line of JSON to a file until it has written so many, and says when the file was fsynced.
 * Arguments: host, port, database, user, slot, publication, changes, output file, offset file. The password is in PGPASSWORD.
 */
public final class DebeziumPeer {
  private DebeziumPeer() {}

  public static void main(String[] args) throws Exception {
    final long wanted = Long.parseLong(args[6]);
    final CountDownLatch done = new CountDownLatch(1);
    final ExecutorService executor = Executors.newSingleThreadExecutor();
    try (FileOutputStream out = new FileOutputStream(args[7])) {
      final Writer writer = new Writer(out, wanted, done);
      final DebeziumEngine<ChangeEvent<String, String>> engine =
          DebeziumEngine.create(Json.class)
              .using(properties(args))
              .using((success, message, error) -> {
                if (!success) {
                  System.out.println("failed " + message);
                }
                done.countDown();
              })
              .notifying(writer)
              .build();
      executor.execute(engine);
      done.await();
      System.out.println("changes " + writer.written);
      System.out.flush();
      engine.close();
    }
    executor.shutdown();
  }

  private static Properties properties(String[] args) {
    final Properties properties = new Properties();
    properties.setProperty("name", "peer");
    properties.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
    properties.setProperty("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore");
    properties.setProperty("offset.storage.file.filename", args[8]);
    properties.setProperty("offset.flush.interval.ms", "1000");
    properties.setProperty("database.hostname", args[0]);
    properties.setProperty("database.port", args[1]);
    properties.setProperty("database.dbname", args[2]);
    properties.setProperty("database.user", args[3]);
    properties.setProperty("database.password", System.getenv("PGPASSWORD"));
    properties.setProperty("database.sslmode", "disable");
    properties.setProperty("topic.prefix", "peer");
    properties.setProperty("plugin.name", "pgoutput");
    properties.setProperty("slot.name", args[4]);
    properties.setProperty("publication.name", args[5]);
    properties.setProperty("publication.autocreate.mode", "disabled");
    properties.setProperty("snapshot.mode", "no_data");
    // What its documentation advises for throughput: larger batches, and no schema in every message.
    properties.setProperty("max.batch.size", "16384");
    properties.setProperty("max.queue.size", "65536");
    properties.setProperty("poll.interval.ms", "10");
    // Logical messages are not its business: without this it writes a line for each.
    properties.setProperty("message.prefix.exclude.list", ".*");
    properties.setProperty("key.converter.schemas.enable", "false");
    properties.setProperty("value.converter.schemas.enable", "false");
    properties.setProperty("tombstones.on.delete", "false");
    properties.setProperty("converter.schemas.enable", "false");
    return properties;
  }

  private static final class Writer implements DebeziumEngine.ChangeConsumer<ChangeEvent<String, String>> {
    private final FileOutputStream out;
    private final long wanted;
    private final CountDownLatch done;
    private long written;

    Writer(FileOutputStream out, long wanted, CountDownLatch done) {
      this.out = out;
      this.wanted = wanted;
      this.done = done;
    }

    @Override
    public void handleBatch(
        List<ChangeEvent<String, String>> records,
        DebeziumEngine.RecordCommitter<ChangeEvent<String, String>> committer)
        throws InterruptedException {
      try {
        final StringBuilder batch = new StringBuilder(1 << 20);
        for (ChangeEvent<String, String> record : records) {
          if (record.value() == null) {
            continue;
          }
          batch.append(record.value()).append('\n');
          written++;
          committer.markProcessed(record);
        }
        out.write(batch.toString().getBytes(StandardCharsets.UTF_8));
        committer.markBatchFinished();
        if (written >= wanted) {
          out.getFD().sync();
          done.countDown();
        }
      } catch (java.io.IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }
}
