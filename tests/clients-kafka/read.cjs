// Reads records as a consumer that is not ours does: read.cjs BROKERS TOPIC=COUNT ...
// Prints one line of JSON per record, and fails if they do not come in time.
'use strict';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs');
const lz4 = require('lz4js');

const PATIENCE_MS = 60_000;

// kafkajs reads gzip by itself; how to read what else a topic may hold it has to be told.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  decompress: async (bytes) => Buffer.from(lz4.decompress(bytes)),
});

async function main([brokers, ...wanted]) {
  const left = new Map(wanted.map((word) => word.split('=')).map(([topic, n]) => [topic, Number(n)]));
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `node-${process.hrtime.bigint()}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [...left.keys()], fromBeginning: true });
  await new Promise((done, failed) => {
    const late = () => failed(new Error(`these records did not come: ${JSON.stringify([...left])}`));
    const timer = setTimeout(late, PATIENCE_MS);
    const eachMessage = async ({ topic, message }) => {
      const headers = Object.entries(message.headers).map(([name, value]) => [name, String(value)]);
      const key = message.key === null ? null : String(message.key);
      const record = { topic, key, headers: Object.fromEntries(headers), value: String(message.value) };
      console.log(JSON.stringify(record));
      left.set(topic, left.get(topic) - 1);
      if ([...left.values()].every((count) => count <= 0)) {
        clearTimeout(timer);
        done();
      }
    };
    consumer.run({ eachMessage }).catch(failed);
  });
  await consumer.disconnect();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
