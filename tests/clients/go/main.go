// Command produce writes lines of standard input, "key<TAB>value", to a topic with the client named first, as it does by
// default or with the partitioner that its name says.
package main

import (
	"bufio"
	"context"
	"log"
	"os"
	"strings"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct{ key, value []byte }

func main() {
	client, address, topic := os.Args[1], os.Args[2], os.Args[3]
	produce := map[string]func(string, string, []record) error{
		"franz-go": withFranz, "kafka-go": withKafkaGo(nil), "kafka-go-hash": withKafkaGo(&kafka.Hash{}),
		"kafka-go-murmur2": withKafkaGo(kafka.Murmur2Balancer{}),
		"sarama":           withSarama(sarama.NewHashPartitioner), "sarama-murmur2": withSarama(sarama.NewMurmur2Partitioner),
	}[client]
	if err := produce(address, topic, read()); err != nil {
		log.Fatal(err)
	}
}

func read() []record {
	var records []record
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "\t")
		records = append(records, record{[]byte(key), []byte(value)})
	}
	return records
}

func withFranz(address, topic string, records []record) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	var all []*kgo.Record
	for _, r := range records {
		all = append(all, &kgo.Record{Topic: topic, Key: r.key, Value: r.value})
	}
	return client.ProduceSync(context.Background(), all...).FirstErr()
}

// Without a balancer kafka-go takes the partitions in turn.
func withKafkaGo(balancer kafka.Balancer) func(string, string, []record) error {
	return func(address, topic string, records []record) error {
		writer := kafka.NewWriter(kafka.WriterConfig{Brokers: []string{address}, Topic: topic, Balancer: balancer})
		defer writer.Close()
		var all []kafka.Message
		for _, r := range records {
			all = append(all, kafka.Message{Key: r.key, Value: r.value})
		}
		return writer.WriteMessages(context.Background(), all...)
	}
}

// NewHashPartitioner is its default.
func withSarama(partitioner sarama.PartitionerConstructor) func(string, string, []record) error {
	return func(address, topic string, records []record) error {
		config := sarama.NewConfig()
		config.Producer.Partitioner = partitioner
		config.Producer.Return.Successes = true
		producer, err := sarama.NewSyncProducer([]string{address}, config)
		if err != nil {
			return err
		}
		defer producer.Close()
		var all []*sarama.ProducerMessage
		for _, r := range records {
			all = append(all, &sarama.ProducerMessage{
				Topic: topic, Key: sarama.ByteEncoder(r.key), Value: sarama.ByteEncoder(r.value),
			})
		}
		return producer.SendMessages(all)
	}
}
