// SPDX-License-Identifier: Apache-2.0
#include "journal/rows.h"

#include <fmt/core.h>

#include <utility>

namespace terway::journal {

const char* const kMigrations[kSchemaVersion] = {
    R"(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE attachment (
  container_id TEXT, ifname TEXT, state TEXT NOT NULL,
  pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL, pod_uid TEXT NOT NULL,
  owner_kind TEXT NOT NULL, sticky INTEGER NOT NULL, network TEXT NOT NULL,
  netns_path TEXT NOT NULL, netns_inode INTEGER NOT NULL,
  eni_key TEXT NOT NULL, eni_id TEXT NOT NULL, addresses TEXT NOT NULL,
  extra_routes TEXT NOT NULL, host_ifname TEXT NOT NULL, host_mac TEXT NOT NULL,
  pod_mac TEXT NOT NULL, mtu INTEGER NOT NULL, gateways TEXT NOT NULL, created INTEGER NOT NULL,
  PRIMARY KEY (container_id, ifname)) WITHOUT ROWID;
CREATE TABLE eni (
  key TEXT PRIMARY KEY, eni_id TEXT NOT NULL, state TEXT NOT NULL, mac TEXT NOT NULL,
  vswitch_id TEXT NOT NULL, primary_address TEXT NOT NULL, since INTEGER NOT NULL,
  failures INTEGER NOT NULL, last_error TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE address (
  address TEXT PRIMARY KEY, unit TEXT NOT NULL, eni_key TEXT NOT NULL, state TEXT NOT NULL,
  container_id TEXT NOT NULL, ifname TEXT NOT NULL,
  pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL, pod_uid TEXT NOT NULL,
  owner_kind TEXT NOT NULL, sticky INTEGER NOT NULL,
  since INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE operation (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, client_token TEXT NOT NULL,
  eni_key TEXT NOT NULL, eni_id TEXT NOT NULL, vswitch_id TEXT NOT NULL,
  ipv4_count INTEGER NOT NULL, ipv6_count INTEGER NOT NULL, addresses TEXT NOT NULL);
)",
    R"(
ALTER TABLE attachment ADD COLUMN egress_limit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN ingress_limit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN priority TEXT NOT NULL DEFAULT '';
)",
    R"(
ALTER TABLE attachment ADD COLUMN mode TEXT NOT NULL DEFAULT 'veth';
ALTER TABLE attachment ADD COLUMN host_peer INTEGER NOT NULL DEFAULT 1;
ALTER TABLE attachment ADD COLUMN host_stack TEXT NOT NULL DEFAULT '';
)"};

namespace {

std::string text_of(const net::IpAddress& address) {
  return address == net::IpAddress{} ? "" : address.to_string();
}
std::string text_of(const net::Mac& mac) { return mac.is_zero() ? "" : mac.to_string(); }

template <class T>
std::string joined(const std::vector<T>& list) {
  std::string text;
  for (const T& item : list) {
    if (!text.empty()) text += ',';
    text += item.to_string();
  }
  return text;
}

std::int64_t nanos(Instant instant) { return instant.time_since_epoch().count(); }
std::int64_t nanos(WallTime time) { return time.time_since_epoch().count(); }

// Reads one row's columns in order; remembers the first that does not parse.
class Row {
 public:
  Row(const char* table, const Statement& statement) : table_(table), statement_(statement) {}

  std::string text() { return statement_.text(column_++); }
  std::int64_t integer() { return statement_.integer(column_++); }
  std::uint32_t count() { return static_cast<std::uint32_t>(integer()); }
  Instant instant() { return Instant(Duration(integer())); }

  template <class T>
  T parsed() {
    const std::string value = text();
    return value.empty() ? T{} : parse_item<T>(value);
  }
  template <class T>
  std::vector<T> list() {
    std::vector<T> items;
    const std::string value = text();
    for (std::size_t from = 0; from < value.size();) {
      const std::size_t comma = std::min(value.find(',', from), value.size());
      items.push_back(parse_item<T>(std::string_view(value).substr(from, comma - from)));
      from = comma + 1;
    }
    return items;
  }
  template <class T>
  T word(std::optional<T> (*from)(std::string_view)) {
    const std::string value = text();
    const auto parsed_value = from(value);
    if (!parsed_value) blame(value);
    return parsed_value.value_or(T{});
  }

  Result<> verdict() const {
    if (wrong_.empty()) return Ok{};
    return Error(Error::Kind::Internal, fmt::format("table {}: {}", table_, wrong_))
        .with_code(std::string(kCorrupt), "");
  }

 private:
  template <class T>
  T parse_item(std::string_view value) {
    const auto item = T::parse(value);
    if (!item) blame(value);
    return item.value_or(T{});
  }
  void blame(std::string_view value) {
    if (wrong_.empty()) wrong_ = fmt::format("column {} holds \"{}\"", column_ - 1, value);
  }

  const char* table_;
  const Statement& statement_;
  int column_ = 0;
  std::string wrong_;
};

template <class Record, class Read>
Result<> read_table(Database& database, const char* table, const char* columns,
                    std::vector<Record>& into, Read read) {
  Statement statement = TRY(database.prepare(fmt::format("SELECT {} FROM {}", columns, table)));
  while (TRY(statement.next())) {
    Row row(table, statement);
    into.push_back(read(row));
    TRY(row.verdict());
  }
  return Ok{};
}

constexpr char kAttachmentColumns[] =
    "container_id, ifname, state, pod_namespace, pod_name, pod_uid, owner_kind, sticky, network,"
    "netns_path, netns_inode, eni_key, eni_id, addresses, extra_routes, host_ifname, host_mac,"
    "pod_mac, mtu, gateways, created, egress_limit, ingress_limit, priority,"
    "mode, host_peer, host_stack";
constexpr char kEniColumns[] =
    "key, eni_id, state, mac, vswitch_id, primary_address, since, failures, last_error";
constexpr char kAddressColumns[] =
    "address, unit, eni_key, state, container_id, ifname, pod_namespace, pod_name, pod_uid,"
    "owner_kind, sticky, since, until";
constexpr char kOperationColumns[] =
    "id, kind, client_token, eni_key, eni_id, vswitch_id, ipv4_count, ipv6_count, addresses";

model::Pod read_pod(Row& row) {
  model::Pod pod;
  pod.namespace_ = row.text();
  pod.name = row.text();
  pod.uid = row.text();
  pod.owner_kind = row.text();
  return pod;
}

model::Attachment read_attachment(Row& row) {
  model::Attachment a;
  a.key.container_id = row.text();
  a.key.ifname = row.text();
  a.state = row.word(model::attachment_state_from);
  a.pod = read_pod(row);
  a.sticky = row.integer() != 0;
  a.network = row.text();
  a.netns_path = row.text();
  a.netns_inode = static_cast<std::uint64_t>(row.integer());
  a.eni_key = row.text();
  a.eni_id = row.text();
  a.addresses = row.list<net::IpAddress>();
  a.extra_routes = row.list<net::Prefix>();
  a.host_ifname = row.text();
  a.host_mac = row.parsed<net::Mac>();
  a.pod_mac = row.parsed<net::Mac>();
  a.mtu = row.count();
  a.gateways = row.list<net::IpAddress>();
  a.created = WallTime(Duration(row.integer()));
  a.bandwidth.egress = static_cast<std::uint64_t>(row.integer());
  a.bandwidth.ingress = static_cast<std::uint64_t>(row.integer());
  a.priority = row.word(model::network_priority_from);
  a.mode = row.word(model::network_mode_from);
  a.host_peer = row.integer() != 0;
  a.host_stack = row.list<net::Prefix>();
  return a;
}

model::EniRecord read_eni(Row& row) {
  model::EniRecord e;
  e.key = row.text();
  e.eni_id = row.text();
  e.state = row.word(model::eni_state_from);
  e.mac = row.parsed<net::Mac>();
  e.vswitch_id = row.text();
  e.primary_address = row.parsed<net::IpAddress>();
  e.since = row.instant();
  e.failures = row.count();
  e.last_error = row.text();
  return e;
}

model::AddressRecord read_address(Row& row) {
  model::AddressRecord a;
  a.address = row.parsed<net::IpAddress>();
  a.unit = row.parsed<net::Prefix>();
  a.eni_key = row.text();
  a.state = row.word(model::address_state_from);
  a.owner.container_id = row.text();
  a.owner.ifname = row.text();
  a.pod = read_pod(row);
  a.sticky = row.integer() != 0;
  a.since = row.instant();
  a.until = row.instant();
  return a;
}

model::Operation read_operation(Row& row) {
  model::Operation o;
  o.id = static_cast<std::uint64_t>(row.integer());
  o.kind = row.word(model::operation_kind_from);
  o.client_token = row.text();
  o.eni_key = row.text();
  o.eni_id = row.text();
  o.vswitch_id = row.text();
  o.ipv4_count = row.count();
  o.ipv6_count = row.count();
  o.addresses = row.list<net::IpAddress>();
  return o;
}

std::string put_sql(const char* table, const char* columns, int count) {
  std::string marks = "?";
  for (int i = 1; i < count; ++i) marks += ",?";
  return fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", table, columns, marks);
}

}  // namespace

Statements::Statements(Statement begin_, Statement commit_, Statement rollback_,
                       Statement put_attachment, Statement erase_attachment, Statement put_eni,
                       Statement erase_eni, Statement put_address, Statement erase_address,
                       Statement put_operation, Statement erase_operation, Statement put_fact)
    : begin(std::move(begin_)),
      commit(std::move(commit_)),
      rollback(std::move(rollback_)),
      put_attachment_(std::move(put_attachment)),
      erase_attachment_(std::move(erase_attachment)),
      put_eni_(std::move(put_eni)),
      erase_eni_(std::move(erase_eni)),
      put_address_(std::move(put_address)),
      erase_address_(std::move(erase_address)),
      put_operation_(std::move(put_operation)),
      erase_operation_(std::move(erase_operation)),
      put_fact_(std::move(put_fact)) {}

Result<std::unique_ptr<Statements>> Statements::prepare(Database& database) {
  const auto sql = [&](std::string_view text) { return database.prepare(text); };
  return std::unique_ptr<Statements>(new Statements(
      TRY(sql("BEGIN IMMEDIATE")), TRY(sql("COMMIT")), TRY(sql("ROLLBACK")),
      TRY(sql(put_sql("attachment", kAttachmentColumns, 27))),
      TRY(sql("DELETE FROM attachment WHERE container_id = ? AND ifname = ?")),
      TRY(sql(put_sql("eni", kEniColumns, 9))), TRY(sql("DELETE FROM eni WHERE key = ?")),
      TRY(sql(put_sql("address", kAddressColumns, 13))),
      TRY(sql("DELETE FROM address WHERE address = ?")),
      TRY(sql(put_sql("operation", kOperationColumns, 9))),
      TRY(sql("DELETE FROM operation WHERE id = ?")),
      TRY(sql(put_sql("fact", "key, value, at", 3)))));
}

Result<> Statements::put(const model::Attachment& a) {
  return put_attachment_.bind(a.key.container_id)
      .bind(a.key.ifname)
      .bind(to_string(a.state))
      .bind(a.pod.namespace_)
      .bind(a.pod.name)
      .bind(a.pod.uid)
      .bind(a.pod.owner_kind)
      .bind(std::int64_t{a.sticky})
      .bind(a.network)
      .bind(a.netns_path)
      .bind(static_cast<std::int64_t>(a.netns_inode))
      .bind(a.eni_key)
      .bind(a.eni_id)
      .bind(joined(a.addresses))
      .bind(joined(a.extra_routes))
      .bind(a.host_ifname)
      .bind(text_of(a.host_mac))
      .bind(text_of(a.pod_mac))
      .bind(std::int64_t{a.mtu})
      .bind(joined(a.gateways))
      .bind(nanos(a.created))
      .bind(static_cast<std::int64_t>(a.bandwidth.egress))
      .bind(static_cast<std::int64_t>(a.bandwidth.ingress))
      .bind(model::to_string(a.priority))
      .bind(model::to_string(a.mode))
      .bind(std::int64_t{a.host_peer})
      .bind(joined(a.host_stack))
      .run();
}

Result<> Statements::erase(const model::AttachmentKey& key) {
  return erase_attachment_.bind(key.container_id).bind(key.ifname).run();
}

Result<> Statements::put(const model::EniRecord& e) {
  return put_eni_.bind(e.key)
      .bind(e.eni_id)
      .bind(to_string(e.state))
      .bind(text_of(e.mac))
      .bind(e.vswitch_id)
      .bind(text_of(e.primary_address))
      .bind(nanos(e.since))
      .bind(std::int64_t{e.failures})
      .bind(e.last_error)
      .run();
}

Result<> Statements::erase_eni(const std::string& key) { return erase_eni_.bind(key).run(); }

Result<> Statements::put(const model::AddressRecord& a) {
  return put_address_.bind(a.address.to_string())
      .bind(a.unit.to_string())
      .bind(a.eni_key)
      .bind(to_string(a.state))
      .bind(a.owner.container_id)
      .bind(a.owner.ifname)
      .bind(a.pod.namespace_)
      .bind(a.pod.name)
      .bind(a.pod.uid)
      .bind(a.pod.owner_kind)
      .bind(std::int64_t{a.sticky})
      .bind(nanos(a.since))
      .bind(nanos(a.until))
      .run();
}

Result<> Statements::erase_address(const net::IpAddress& address) {
  return erase_address_.bind(address.to_string()).run();
}

Result<> Statements::put(const model::Operation& o) {
  return put_operation_.bind(static_cast<std::int64_t>(o.id))
      .bind(to_string(o.kind))
      .bind(o.client_token)
      .bind(o.eni_key)
      .bind(o.eni_id)
      .bind(o.vswitch_id)
      .bind(std::int64_t{o.ipv4_count})
      .bind(std::int64_t{o.ipv6_count})
      .bind(joined(o.addresses))
      .run();
}

Result<> Statements::erase_operation(std::uint64_t id) {
  return erase_operation_.bind(static_cast<std::int64_t>(id)).run();
}

Result<> Statements::put(const Fact& fact) {
  return put_fact_.bind(fact.key).bind(fact.value).bind(nanos(fact.at)).run();
}

Result<Contents> read_rows(Database& database) {
  Contents contents;
  TRY(read_table(database, "attachment", kAttachmentColumns, contents.attachments,
                 read_attachment));
  TRY(read_table(database, "eni", kEniColumns, contents.ipam.enis, read_eni));
  TRY(read_table(database, "address", kAddressColumns, contents.ipam.addresses, read_address));
  TRY(read_table(database, "operation", kOperationColumns, contents.ipam.operations,
                 read_operation));
  TRY(read_table(database, "fact", "key, value, at", contents.facts, [](Row& row) {
    Fact fact;
    fact.key = row.text();
    fact.value = row.text();
    fact.at = WallTime(Duration(row.integer()));
    return fact;
  }));
  return contents;
}

}  // namespace terway::journal
